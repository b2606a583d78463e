#!/bin/sh
# In a map<bool, ...>, the key false is sent as true.
#
# Packages: @grpc/proto-loader 0.8.1 with protobufjs 7.6.6 (npm); python3-protobuf
#   3.21.12 of Debian 12 reads the same bytes, unpacked, not installed.
# Expected: { true: "a", false: "b" } arrives with both entries. Keys of int32 maps
#   are JavaScript strings as well, and are turned into numbers properly.
# What happens: the key is the string "false", which is true. Both entries go out
#   with the key true, so the receiver (here Python) keeps only the last one. A
#   message that is received and sent on unchanged is altered by it.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts @grpc/proto-loader@0.8.1 protobufjs@7.6.6
(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download python3-protobuf && dpkg -x python3-protobuf_*.deb root)

cat >"$dir/a.proto" <<'END'
syntax = "proto3";
package a;
message M { map<bool, string> flags = 1; map<int32, string> numbers = 2; }
service S { rpc Call(M) returns (M); }
END
cat >"$dir/send.mjs" <<'END'
import loader from '@grpc/proto-loader';

const { Call } = loader.loadSync(`${process.argv[2]}/a.proto`)['a.S'];
console.log(Call.requestSerialize({ flags: { true: 'a', false: 'b' }, numbers: { 0: 'a', 1: 'b' } }).toString('hex'));
END
cat >"$dir/receive.py" <<'END'
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
message = file.message_type.add(name="M")
for number, (name, entry, key) in enumerate((("flags", "FlagsEntry", 8), ("numbers", "NumbersEntry", 5)), 1):
    nested = message.nested_type.add(name=entry)
    nested.options.map_entry = True
    nested.field.add(name="key", number=1, type=key, label=1)
    nested.field.add(name="value", number=2, type=9, label=1)
    message.field.add(name=name, number=number, type=11, label=3, type_name=".a.M." + entry)
pool = descriptor_pool.DescriptorPool()
pool.AddSerializedFile(file.SerializeToString())
received = message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("a.M"))()
received.ParseFromString(bytes.fromhex(sys.argv[1]))
print("flags", dict(received.flags))
print("numbers", dict(sorted(received.numbers.items())))
END
bytes=$(node "$dir/send.mjs" "$dir")
PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" \
	/usr/bin/python3 -W ignore "$dir/receive.py" "$bytes" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
flags {True: 'b'}
numbers {0: 'a', 1: 'b'}
END
diff "$dir/expected" "$dir/seen"

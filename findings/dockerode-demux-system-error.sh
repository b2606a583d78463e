#!/bin/sh
# One frame of the engine's fourth stream type, and dockerode hands out raw frames
# for the rest of the log.
#
# Packages: dockerode 5.0.1 with docker-modem 5.0.7 (npm).
# Expected: a multiplexed log is a row of frames of 8 bytes of header (the first byte
#   the stream, the last four the length) and payload. Besides 0, 1 and 2, which the
#   API's text lists, the engine's own stdcopy package has a stream 3 for errors of
#   the engine in the middle of a log (a broken log file, a node of a service log
#   that is away). Its reader raises such a frame's text as an error. One would
#   expect that, or that the frame is skipped: its length is in the header.
# What happens: demuxStream takes the frame for a sign that the stream was never
#   multiplexed, writes header and all to stdout, and from there on passes every
#   byte to stdout: headers included, stderr included.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts dockerode@5.0.1 docker-modem@5.0.7

cat >"$dir/run.mjs" <<'END'
import { PassThrough } from 'node:stream';
import Docker from 'dockerode';

const frame = (stream, text) => Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
const show = async (name, frames) => {
  const [source, out, err] = [new PassThrough(), new PassThrough(), new PassThrough()];
  new Docker({ socketPath: '/nonexistent' }).modem.demuxStream(source, out, err);
  for (const one of frames) source.write(one);
  await new Promise((resolve) => setTimeout(resolve, 100));
  console.log(name, 'stdout', JSON.stringify(String(out.read() ?? '')), 'stderr', JSON.stringify(String(err.read() ?? '')));
};
await show('without:', [frame(1, 'one\n'), frame(2, 'two\n'), frame(1, 'three\n')]);
await show('with:', [frame(1, 'one\n'), frame(3, 'oops\n'), frame(2, 'two\n'), frame(1, 'three\n')]);
END
node "$dir/run.mjs" >"$dir/seen"
cat "$dir/seen"
cat >"$dir/expected" <<'END'
without: stdout "one\nthree\n" stderr "two\n"
with: stdout "one\n\u0003\u0000\u0000\u0000\u0000\u0000\u0000\u0005oops\n\u0002\u0000\u0000\u0000\u0000\u0000\u0000\u0004two\n\u0001\u0000\u0000\u0000\u0000\u0000\u0000\u0006three\n" stderr ""
END
diff "$dir/expected" "$dir/seen"

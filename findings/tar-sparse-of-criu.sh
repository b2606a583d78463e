#!/bin/sh
# Of an archive like those in a CRIU image, the npm package tar leaves the sparse
# files out, without an error even in strict mode.
#
# Packages: tar 7.5.23, tar-stream 3.2.2 (npm); Debian tar 1.34 as installed on the
#   machine; CRIU is not run (it keeps each tmpfs as what `tar --sparse` makes of it,
#   in tmpfs-dev-*.tar.gz.img).
# Expected: a file with holes comes out as it went in, as with GNU tar and with
#   Python's tarfile; or else an error, as strict is there to turn warnings into
#   errors.
# What happens: GNU tar's default format has an entry type of its own for such files,
#   'S'. tar neither extracts nor lists it, nor calls onwarn; tar-stream gives an
#   entry of type null with the packed bytes. In the pax format both hand out an
#   ordinary file with another name (GNUSparseFile.<pid>/…), a wrong size and the
#   list of the holes as its beginning.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts tar@7.5.23 tar-stream@3.2.2
cd "$dir"
mkdir in out
truncate -s 1M in/holes
printf data | dd of=in/holes bs=1 seek=500000 conv=notrunc status=none
echo plain >in/plain
for format in gnu pax; do tar -C in --format=$format --sparse -cf $format.tar holes plain; done

cat >run.mjs <<'END'
import fs from 'node:fs';
import * as tar from 'tar';
import tarStream from 'tar-stream';

for (const format of ['gnu', 'pax']) {
  const file = `${format}.tar`;
  fs.mkdirSync(`out/${format}`);
  let warnings = 0;
  await tar.extract({ file, cwd: `out/${format}`, strict: true, onwarn: () => warnings++ });
  const extracted = fs.readdirSync(`out/${format}`, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const sizes = extracted.map((entry) => {
    const path = `${entry.parentPath ?? entry.path}/${entry.name}`;
    return `${path.replace(/\.\d+\//, '.<pid>/')} ${fs.statSync(path).size}`;
  });
  console.log(`tar, ${format}: ${sizes.sort().join(', ')}; warnings: ${warnings}`);
  const listed = [];
  const extract = fs.createReadStream(file).pipe(tarStream.extract());
  for await (const entry of extract) {
    listed.push(`${entry.header.name.replace(/\.\d+\//, '.<pid>/')} ${entry.header.type} ${entry.header.size}`);
    entry.resume();
  }
  console.log(`tar-stream, ${format}: ${listed.join(', ')}`);
}
END
node run.mjs >seen
for format in gnu pax; do
	mkdir out/gnutar-$format
	tar -C out/gnutar-$format -xf $format.tar
	cmp in/holes out/gnutar-$format/holes && echo "GNU tar, $format: the same" >>seen
done
cat seen
cat >expected <<'END'
tar, gnu: out/gnu/plain 6; warnings: 0
tar-stream, gnu: holes null 4096, plain file 6
tar, pax: out/pax/GNUSparseFile.<pid>/holes 4608, out/pax/plain 6; warnings: 0
tar-stream, pax: ./GNUSparseFile.<pid>/holes file 4608, plain file 6
GNU tar, gnu: the same
GNU tar, pax: the same
END
diff expected seen

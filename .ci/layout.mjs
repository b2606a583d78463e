// The layout of the tree. No circle of files, type imports included: eslint's import-x/no-cycle leaves those out. No folder that is too full to be
// taken in at a glance. `node .ci/layout.mjs` lists what breaks these rules and fails if anything does.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const STATIC_IMPORT = /^(?:import|export)\b[^;]*?\bfrom '(\.[^']+)'|^import '(\.[^']+)'/gm;

/** By file: the files that it imports. */
const graph = new Map();
for (const top of ['src', 'agent', 'coordinator', 'examples', 'test']) {
  for (const name of readdirSync(path.join(root, top), { recursive: true })) {
    const file = path.join(top, name);
    // Generated types refer to each other as the messages do.
    if (!file.endsWith('.ts') || file.startsWith('src/rpc/generated/')) continue;
    const imports = readFileSync(path.join(root, file), 'utf8').matchAll(STATIC_IMPORT);
    graph.set(
      file,
      [...imports].map(([, from, bare]) => path.join(path.dirname(file), from ?? bare)),
    );
  }
}

/** Groups of files each of which can be reached from all others of its group (Tarjan 1972). */
function circles() {
  const found = [];
  const order = new Map();
  const lowest = new Map();
  const open = [];
  const visit = (file) => {
    order.set(file, order.size);
    lowest.set(file, order.get(file));
    open.push(file);
    for (const next of graph.get(file)) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (open.includes(next)) lowest.set(file, Math.min(lowest.get(file), lowest.get(next)));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const group = open.splice(open.indexOf(file));
    if (group.length > 1) found.push(group);
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

for (const group of circles()) {
  process.exitCode = 1;
  console.error('These files import each other in a circle; break it with an interface:');
  for (const file of group.sort()) {
    const inside = graph.get(file).filter((other) => group.includes(other));
    console.error(`  ${file} -> ${inside.join(', ')}`);
  }
}

/** Most files of one folder at one level. */
const MOST_FILES = 14;
/** Folders of like things, one file each: nobody reads these from end to end. And the root, where tools look for their settings. */
const UNLIMITED = /^(\.|findings|test\/scenarios|src\/rpc\/generated(\/.*)?)$/;

const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'], {
  cwd: root,
  encoding: 'utf8',
});
const folders = Map.groupBy(
  tracked.split('\0').filter((file) => file !== '' && existsSync(path.join(root, file))),
  path.dirname,
);
for (const [folder, files] of folders) {
  if (files.length <= MOST_FILES || UNLIMITED.test(folder)) continue;
  process.exitCode = 1;
  console.error(
    `${folder} has ${files.length} files at one level, ${MOST_FILES} at most: move those of one subject to a folder of their own`,
  );
}

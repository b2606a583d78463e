import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../coordinator', import.meta.url));

/** Which files of the program each imports, types and lazy imports included: lint's `no-cycle` sees neither. */
function importsOf(program: string): Map<string, Set<string>> {
  const files = readdirSync(program, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(program, file), 'utf8');
      const paths = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(([, path = '']) => path);
      return [file, new Set(paths.map((path) => join(dirname(file), path)).filter((path) => files.includes(path)))];
    }),
  );
}

/** The same between folders. A folder and one within it are no pair: it is made of them. */
function foldersOf(imports: ReadonlyMap<string, ReadonlySet<string>>): Map<string, Set<string>> {
  const folders = new Map<string, Set<string>>();
  for (const [file, targets] of imports) {
    const own = dirname(file);
    const others = [...targets].map(dirname).filter((other) => !isWithin(own, other) && !isWithin(other, own));
    folders.set(own, new Set([...(folders.get(own) ?? []), ...others]));
  }
  return folders;
}

function isWithin(folder: string, outer: string): boolean {
  return outer === '.' || folder === outer || folder.startsWith(`${outer}/`);
}

/** Everything that can be reached from itself. */
function circles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  return [...graph.keys()].filter((start) => {
    const seen = new Set<string>();
    const open = [...(graph.get(start) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(graph.get(next) ?? []));
    }
    return seen.has(start);
  });
}

test('no circle of files', () => {
  expect(circles(importsOf(PROGRAM))).toEqual([]);
});

test('no circle of folders', () => {
  expect(circles(foldersOf(importsOf(PROGRAM)))).toEqual([]);
});

test('a circle is found', () => {
  const graph = new Map([
    ['a', new Set(['b'])],
    ['b', new Set(['c'])],
    ['c', new Set(['b'])],
  ]);
  expect(circles(graph)).toEqual(['b', 'c']);
});

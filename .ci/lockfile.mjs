// package-lock.json must not name the registry that it was made with: removes the addresses (`npm run lockfile:clean`), or with --check
// says whether there are any.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../package-lock.json', import.meta.url);
const text = readFileSync(file, 'utf8');
const lock = JSON.parse(text);
for (const entry of Object.values(lock.packages)) delete entry.resolved;
const clean = `${JSON.stringify(lock, undefined, 2)}\n`;
if (process.argv.includes('--check')) {
  if (clean !== text) {
    console.error('package-lock.json names a registry: run `npm run lockfile:clean`.');
    process.exitCode = 1;
  }
} else writeFileSync(file, clean);

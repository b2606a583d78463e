// Generates the TypeScript types of proto/*.proto into src/rpc/generated; with --check only says whether they are up to date.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'src/rpc/generated');
const out = mkdtempSync(join(tmpdir(), 'swarmcut-proto-'));
try {
  execFileSync(
    join(root, 'node_modules/.bin/proto-loader-gen-types'),
    ['--longs=Number', '--enums=String', '--defaults', '--oneofs', '--grpcLib=@grpc/grpc-js', `--outDir=${out}`].concat(
      ['--importFileExtension=.ts', '-I', join(root, 'proto'), '--', 'agent.proto'],
    ),
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  // The generator notes where the .proto files lay; that must not differ from clone to clone.
  for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(`${root}proto/`, 'proto/'));
  }
  if (!process.argv.includes('--check')) {
    rmSync(target, { recursive: true, force: true });
    cpSync(out, target, { recursive: true });
  } else {
    const files = (dir) =>
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((e) => e.isFile())
        .map((e) => join(e.parentPath, e.name).slice(dir.length))
        .sort();
    const stale =
      files(out).join() !== files(target).join() ||
      files(out).some((f) => readFileSync(out + f, 'utf8') !== readFileSync(target + f, 'utf8'));
    if (stale) {
      console.error('src/rpc/generated does not match proto/*.proto: run `npm run proto:generate`.');
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ProtoGrpcType } from './generated/agent.ts';

/** The folder with `package.json` and `proto/`: above `src/` in a checkout, above `dist/` when built. */
export function packageRoot(from: string = fileURLToPath(import.meta.url)): string {
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'proto', 'agent.proto'))) return folder;
    if (folder === dirname(folder))
      throw new Error(`no proto/agent.proto above ${from}: swarmcut is not installed whole`);
  }
}

let loaded: ProtoGrpcType['swarmcut']['Agent'] | undefined;

/** The constructor and service definition of `swarmcut.Agent`. Options must be those of proto/generate.mjs. */
export function agentService(): ProtoGrpcType['swarmcut']['Agent'] {
  loaded ??= (
    loadPackageDefinition(
      loadSync('agent.proto', {
        includeDirs: [join(packageRoot(), 'proto')],
        longs: Number,
        enums: String,
        defaults: true,
        // Repeated fields come as empty arrays, unset messages as null.
        arrays: true,
        oneofs: true,
      }),
    ) as unknown as ProtoGrpcType
  ).swarmcut.Agent;
  return loaded;
}

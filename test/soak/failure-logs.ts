/** What is kept of a failing operation, for whoever has to find out why. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { logsPath, pathInHost } from '../../examples/testbed/index.ts';
import type { Stacks } from '../../examples/demo/stacks.ts';

/** Where each log ends before an operation. */
export type LogEnds = ReadonlyMap<string, number>;

const COORDINATOR_LOG = '/var/lib/swarmcut/log/coordinator.log';

async function logFiles(stacks: Stacks): Promise<[string, string][]> {
  const files: [string, string][] = [
    ['coordinator.log', await pathInHost(stacks.bed, 'n1', COORDINATOR_LOG).catch(() => '')],
  ];
  for (const node of stacks.nodes)
    for (const service of ['agent', 'engine'] as const)
      files.push([`${node}-${service}.log`, await logsPath(stacks.bed, node, service)]);
  return files;
}

export async function logEnds(stacks: Stacks): Promise<LogEnds> {
  const files = await logFiles(stacks);
  const ends = files.map(async ([name, file]): Promise<[string, number]> => {
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    return [name, size];
  });
  return new Map(await Promise.all(ends));
}

/** What there is to see on a node. */
const STATE = `
echo "# processes"; ps -eo pid,ppid,stat,lstart,args | grep -vE '\\]$'
echo "# run directory"; find /run/swarmcut -type f -o -type s | sort
for f in /run/swarmcut/journal/*.json /run/swarmcut/deadman/* /run/swarmcut/expect/* /run/swarmcut/still/*; do [ -f "$f" ] && { echo "## $f"; head -c 2000 "$f"; echo; }; done
echo "# state directory"; find /var/lib/swarmcut -type f -not -path '*/parts/*' | sort
echo "# locks and journals"; docker config ls -q -f name=swarmcut-stack- 2>/dev/null | xargs -r docker config inspect -f '{{.Spec.Name}} {{json .Spec.Labels}}' | head -c 200000
echo "# containers"; docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Status}} {{.CreatedAt}}'
for id in $(docker ps -q --no-trunc -f label=com.docker.stack.namespace); do
  echo "# $id"; runc --root /run/docker/runtime-runc/moby state "$id" | grep -E '"status"|"pid"'
  docker logs --tail 20 "$id" 2>&1
  pid=$(docker inspect -f '{{.State.Pid}}' "$id"); nsenter --net=/proc/$pid/ns/net nft list ruleset
  nsenter --net=/proc/$pid/ns/net ss -tanp | head -60
done
for f in /run/swarmcut/sidecars/*/sidecar.log; do [ -f "$f" ] && { echo "## $f"; tail -n 200 "$f"; }; done
true`;

/** Writes all into a directory. What cannot be had is left out. @returns the directory */
export async function saveLogs(stacks: Stacks, directory: string, reason: string, ends: LogEnds): Promise<string> {
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'reason.txt'), `${reason}\n`);
  for (const [name, file] of await logFiles(stacks)) {
    const text = await readFile(file).catch(() => undefined);
    if (text !== undefined) await writeFile(path.join(directory, name), text.subarray(ends.get(name) ?? 0));
  }
  const run = (node: string, script: string): Promise<string> =>
    stacks.run(node, ['sh', '-c', script], { timeoutMs: 30_000 }).then(
      ({ stdout, stderr }) => `${stdout}\n${stderr}`,
      (error: unknown) => String(error),
    );
  const swarm = `docker node ls; docker service ls; docker stack ps --no-trunc bank; docker service inspect $(docker service ls -q)`;
  await writeFile(path.join(directory, 'swarm.txt'), await run('n1', swarm));
  await Promise.all(
    stacks.nodes.map(async (node) => writeFile(path.join(directory, `${node}-state.txt`), await run(node, STATE))),
  );
  return directory;
}

import { Command } from 'commander';
import type { Manifest, ManifestTask } from '../../../src/model/checkpoint.ts';
import { messageOf } from '../../../src/model/errors.ts';
import { taskKey } from '../../../src/model/task.ts';
import type { Catalogue, StoredSnapshot } from '../../../src/storage/catalogue.ts';
import { readWrappedKey } from '../../../src/storage/encryption/wrapped-key.ts';
import { vouchingText } from '../../../src/storage/manifest-signature.ts';
import type { Vouching } from '../../../src/storage/manifest-signature.ts';
import { flowsOf } from '../channels/flows.ts';
import { dumpChannel, showChannels } from '../channels/inspect-channels.ts';
import { gatheredCatalogue } from '../catalogue.ts';
import { addEncryptionOptions, globalOptionsOf } from '../options.ts';
import { notesText } from '../output/notes.ts';
import { bytesText, durationText, paint, say, sayJson, table } from '../output/output.ts';
import { frozenMs, snapshotBytes, storedBytes } from '../output/sizes.ts';

/** `coordinator inspect <snapshot>`. */
export function inspectCommand(): Command {
  return addEncryptionOptions(new Command('inspect'))
    .description('what a snapshot consists of: tasks, processes, sizes, times, connections')
    .argument('<snapshot>', 'id or its beginning, `latest`, or `latest:<stack>`')
    .option('--channels', 'only the channels (one per direction) with bytes in flight')
    .option('--dump <channel>', 'the bytes in flight of one channel, by its number, in hex (algorithms with a sidecar)')
    .addHelpText(
      'after',
      `
--json prints the manifest as it is stored. IN FLIGHT are the bytes that were sent at the sender's cut and not received at the
receiver's: after a restore TCP sends them again, or the receiver's sidecar, which has recorded them, delivers them.

Examples:
  coordinator inspect latest
  coordinator inspect latest --channels
  coordinator inspect latest --dump 7 | less
  coordinator inspect 2rg8 --json | jq '.tasks[].times'`,
    )
    .action(async (snapshot: string, options: { channels?: true; dump?: string }, command: Command) => {
      const { json } = globalOptionsOf(command);
      const catalogue = await gatheredCatalogue(command);
      const stored = await catalogue.resolve(snapshot);
      const { manifest } = stored;
      if (options.dump !== undefined) await dumpChannel(command, manifest, options.dump);
      else if (options.channels === true) showChannels(manifest, json);
      else if (json) sayJson(manifest);
      else say(text(stored, await encryptionText(stored.manifest, catalogue)));
    });
}

/** Which key opens it, if it is encrypted; that is public. */
async function encryptionText({ id, encryption }: Manifest, catalogue: Catalogue): Promise<string> {
  if (encryption === undefined) return 'none';
  try {
    const { keyId, derivation } = await readWrappedKey(catalogue.wrappedKeyPath(id), id);
    return `AES-256-GCM, key ${keyId} (${derivation.kind === 'passphrase' ? 'a passphrase' : 'a key file'})`;
  } catch (error) {
    return paint('red', messageOf(error));
  }
}

function text({ manifest, vouching }: StoredSnapshot, encryption: string): string {
  const sections = [
    [
      `snapshot   ${manifest.id}`,
      `stack      ${manifest.stack}`,
      `algorithm  ${manifest.algorithm}, epoch ${manifest.epoch}`,
      `taken      ${manifest.committedAt}, in ${durationText(manifest.wallMs)}`,
      `size       ${bytesText(snapshotBytes(manifest))}`,
      `external   ${manifest.external}`,
      `signature  ${signatureText(vouching)}`,
      `encryption ${encryption}`,
    ].join('\n'),
    tasksText(manifest.tasks),
    processesText(manifest.tasks),
    connectionsText(manifest),
    versionsText(manifest),
    notesText(manifest.tasks),
  ];
  return sections.filter((section) => section !== '').join('\n\n');
}

/** Paints what is not a coordinator's word. */
function signatureText(vouching: Vouching): string {
  const problem = vouchingText(vouching);
  return problem === undefined ? 'sound' : paint('red', problem);
}

function tasksText(tasks: readonly ManifestTask[]): string {
  return table(
    ['TASK', 'NODE', 'FREEZING', 'FROZEN', 'DUMP', 'MEMORY', 'FILES', 'VOLUMES', 'CHANNELS'],
    tasks.map(({ task, node, times, parts }) => {
      const frozen = frozenMs(times);
      const size = (...kinds: readonly string[]): string =>
        bytesText(storedBytes(parts.filter(({ kind }) => kinds.includes(kind))));
      return [
        taskKey(task),
        node,
        durationText(times.freezingUs / 1000),
        frozen === undefined ? 'kept' : durationText(frozen),
        durationText(times.dumpWallUs / 1000),
        size('CRIU'),
        size('UPPER', 'SHM'),
        size('VOLUME'),
        size('CHANNELS'),
      ];
    }),
  );
}

function processesText(tasks: readonly ManifestTask[]): string {
  const rows = tasks.flatMap(({ task, processes }) =>
    processes.map((process) => [
      taskKey(task),
      String(process.pid),
      String(process.parentPid),
      String(process.threads),
      process.command,
    ]),
  );
  return rows.length === 0 ? '' : table(['TASK', 'PID', 'PARENT', 'THREADS', 'COMMAND'], rows);
}

function connectionsText(manifest: Manifest): string {
  const flows = flowsOf(manifest);
  if (flows.length === 0) return 'no open connections';
  const rows = flows.map((flow) => [
    flow.from ?? paint('yellow', 'gone'),
    flow.to ?? paint('yellow', flow.stream === undefined ? 'outside' : 'gone'),
    flow.local,
    flow.remote,
    flow.state === '' ? '-' : flow.state,
    flow.inFlightBytes === undefined ? '-' : bytesText(flow.inFlightBytes),
    flow.unreadBytes === undefined ? '-' : bytesText(flow.unreadBytes),
  ]);
  const total = flows.reduce((sum, { inFlightBytes }) => sum + (inFlightBytes ?? 0), 0);
  return `${table(['FROM', 'TO', 'LOCAL', 'REMOTE', 'STATE', 'IN FLIGHT', 'UNREAD'], rows)}
${flows.length} channels, ${bytesText(total)} in flight`;
}

function versionsText(manifest: Manifest): string {
  return table(
    ['NODE', 'SWARMCUT', 'KERNEL', 'CRIU', 'RUNC', 'ENGINE'],
    Object.entries(manifest.versions).map(([node, versions]) => [
      node,
      versions.swarmcut,
      versions.kernel,
      versions.criu,
      versions.runc,
      versions.engine,
    ]),
  );
}

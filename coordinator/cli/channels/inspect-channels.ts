import { once } from 'node:events';
import type { Command } from 'commander';
import type { Manifest } from '../../../src/model/checkpoint.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { runOperation } from '../context.ts';
import { flowsOf, type Flow } from './flows.ts';
import { hexdump } from '../output/hexdump.ts';
import { globalOptionsOf } from '../options.ts';
import { bytesText, paint, say, sayJson, table } from '../output/output.ts';

/** `coordinator inspect --channels`: the channels that had bytes in flight; all of them as JSON. */
export function showChannels(manifest: Manifest, json: boolean): void {
  const flows = flowsOf(manifest);
  if (json) sayJson({ id: manifest.id, algorithm: manifest.algorithm, channels: flows.map(jsonOf) });
  else say(channelsText(flows));
}

/** Exported for its test. */
export function channelsText(flows: readonly Flow[]): string {
  if (flows.length === 0) return 'no open connections';
  const busy = flows.filter(({ inFlightBytes }) => (inFlightBytes ?? 0) > 0);
  const total = busy.reduce((sum, { inFlightBytes }) => sum + (inFlightBytes ?? 0), 0);
  const rows = busy.map((flow) => [
    String(flow.number),
    flow.from ?? paint('yellow', 'gone'),
    flow.to ?? paint('yellow', 'gone'),
    flow.local,
    flow.remote,
    bytesText(flow.inFlightBytes ?? 0),
    flow.stream === undefined ? "sender's image" : 'recorded',
  ]);
  return [
    ...(rows.length === 0 ? [] : [table(['#', 'FROM', 'TO', 'LOCAL', 'REMOTE', 'IN FLIGHT', 'WHERE'], rows)]),
    `${busy.length} of ${flows.length} channels had bytes in flight, ${bytesText(total)} in all`,
  ].join('\n');
}

function jsonOf({ stream, ...flow }: Flow): object {
  return stream === undefined ? { ...flow, recorded: false } : { ...flow, recorded: true, stream: stream.id };
}

/**
 * `coordinator inspect --dump`: the bytes in flight of one channel, in hex.
 * @param name the channel's number
 */
export async function dumpChannel(command: Command, manifest: Manifest, name: string): Promise<void> {
  const flow = channelNamed(manifest, name);
  if (flow.stream === undefined) throw notRecorded(manifest, flow);
  const { stream } = flow;
  const { channelBytes } = await import('../../operations/index.ts');
  const bytes = await runOperation(command, `channel ${flow.number} of ${manifest.id}`, (ctx) =>
    channelBytes(ctx, manifest, stream),
  );
  if (globalOptionsOf(command).json) {
    sayJson({ ...jsonOf(flow), base64: Buffer.from(bytes).toString('base64') });
    return;
  }
  for (const line of hexdump(bytes)) {
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
  }
}

function channelNamed(manifest: Manifest, name: string): Flow {
  const flows = flowsOf(manifest);
  const flow = flows.find(({ number }) => String(number) === name);
  if (flow !== undefined) return flow;
  throw new SwarmcutError('not-found', `snapshot ${manifest.id} has no channel ${name}`, {
    advice:
      flows.length === 0
        ? 'it has no connections at all'
        : `its channels are 1 to ${flows.length}: \`coordinator inspect ${manifest.id} --channels\` lists those with bytes in flight`,
  });
}

function notRecorded(manifest: Manifest, flow: Flow): SwarmcutError {
  return new SwarmcutError(
    'precondition',
    `the bytes in flight of channel ${flow.number} are not recorded by themselves: with ${manifest.algorithm} they lie in the sender's send queue, in the CRIU image of ${flow.from ?? 'the sender'}`,
    { advice: 'algorithms with a sidecar (chandy-lamport) record channels' },
  );
}

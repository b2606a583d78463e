/** What `up` does through the engines' APIs: wait for them, join them into one Swarm, give them the image. */
import { createReadStream } from 'node:fs';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { AGENT_PORT, TestbedError, paths } from './layout.ts';
import type { BedRecord, HostRecord } from './layout.ts';
import { pathInHost } from './hosts.ts';
import type { Image } from './images/pack.ts';
import { waitFor } from './progress.ts';

const SWARM_PORT = 2377;

/**
 * A client of a host's engine, through the host's own socket. Not to be kept: a host that was started anew has another path.
 *
 * @param timeoutMs longest wait for an answer. Default: none
 */
export async function engineOf(bed: string, node: string, timeoutMs?: number): Promise<Docker> {
  const socketPath = await pathInHost({ name: bed }, node, 'run/docker.sock');
  return new Docker({ socketPath, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) });
}

/** Waits until the host's engine answers. */
export async function waitForEngine(bed: string, node: string, timeoutMs: number): Promise<void> {
  await waitFor(`the engine on ${node}`, async () => (await (await engineOf(bed, node)).ping()) !== undefined, {
    timeoutMs,
    hint: `see ${paths.log(bed, node, 'engine')}`,
  });
}

/** Makes the first host a manager and the others workers, unless they already are. */
export async function joinSwarm(record: BedRecord): Promise<void> {
  const [manager, ...workers] = record.nodes;
  if (manager === undefined) return;
  const engine = await engineOf(record.name, manager.name);
  if ((await localState(engine)) === 'inactive') {
    await engine.swarmInit({
      AdvertiseAddr: manager.address,
      ListenAddr: `${manager.address}:${SWARM_PORT}`,
      DataPathAddr: manager.address,
    });
  }
  const swarm = (await engine.swarmInspect()) as { JoinTokens: { Worker: string } };
  await Promise.all(workers.map((worker) => joinWorker(record.name, worker, manager, swarm.JoinTokens.Worker)));
}

async function joinWorker(bed: string, worker: HostRecord, manager: HostRecord, token: string): Promise<void> {
  const engine = await engineOf(bed, worker.name);
  if ((await localState(engine)) !== 'inactive') return;
  await engine.swarmJoin({
    AdvertiseAddr: worker.address,
    ListenAddr: `${worker.address}:${SWARM_PORT}`,
    DataPathAddr: worker.address,
    RemoteAddrs: [`${manager.address}:${SWARM_PORT}`],
    JoinToken: token,
  });
}

async function localState(engine: Docker): Promise<string> {
  const info = (await engine.info()) as { Swarm?: { LocalNodeState?: string } };
  return info.Swarm?.LocalNodeState ?? 'inactive';
}

/** Loads the image on a host, unless it has exactly this one. Returns whether it had to. */
export async function loadImage(bed: string, node: string, image: Image): Promise<boolean> {
  const engine = await engineOf(bed, node);
  if ((await imageId(engine, image.reference)) === image.id) return false;
  const answer = await text(
    await engine.loadImage(createReadStream(image.file, { highWaterMark: 1 << 20 }), { quiet: true }),
  );
  // The engine answers 200 before it reads: what went wrong is in the stream.
  const loaded = await imageId(engine, image.reference);
  if (loaded !== image.id) {
    throw new TestbedError(
      `${node}: loading ${image.file} gave ${loaded ?? 'no image'}, not ${image.id}: ${answer.trim()}`,
    );
  }
  return true;
}

async function imageId(engine: Docker, reference: string): Promise<string | undefined> {
  return engine
    .getImage(reference)
    .inspect()
    .then(
      (found) => found.Id,
      () => undefined,
    );
}

/** Names of the nodes that the manager calls ready. */
export async function readyNodes(record: BedRecord): Promise<string[]> {
  const manager = record.nodes[0];
  if (manager === undefined) return [];
  const engine = await engineOf(record.name, manager.name);
  const nodes = (await engine.listNodes()) as { Description?: { Hostname?: string }; Status?: { State?: string } }[];
  return nodes.filter((node) => node.Status?.State === 'ready').map((node) => node.Description?.Hostname ?? '');
}

/** Whether something listens on the agent's port. Says nothing about whether it is well. */
export async function agentListens(node: HostRecord): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: node.address, port: AGENT_PORT, timeout: 1000 });
    const end = (listens: boolean) => () => {
      socket.destroy();
      resolve(listens);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

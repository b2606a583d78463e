import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { messageOf, SwarmcutError } from '../src/model/errors.ts';
import type { Directories } from '../src/model/paths.ts';
import { LiveIdentity, SignatureCheck, createAgentServer, packageRoot, validUntil } from '../src/rpc/index.ts';
import { createLogger } from '../src/platform/logger.ts';
import { armDeadman } from './runtime/criu/deadman.ts';
import { findRuncRoot, Runc } from './runtime/criu/runc.ts';
import { Containers } from './runtime/docker/containers.ts';
import { EngineWatch } from './runtime/docker/engine-watch.ts';
import { IdentityService } from './identity/identity-service.ts';
import { Fences } from './fences.ts';
import { forgetEnded, leadAgain } from './leftovers.ts';
import { NodeInfo } from './node-info.ts';
import { FormerAddresses } from './network/former-addresses.ts';
import { waitingConnections } from './network/rewriting/push-unsent.ts';
import { NetworkMemory } from './network/network-memory.ts';
import { Repair } from './repair/repair.ts';
import { RestoredNetwork } from './restores/restored-network.ts';
import { Restores } from './restores/restores.ts';
import { StateStager } from './restores/state-stager.ts';
import { HeldTasks } from './tasks/held-tasks.ts';
import { Journal } from './tasks/journal.ts';
import { KeptTasks } from './restores/kept-tasks.ts';
import { openNoted, openTask } from './tasks/open-task.ts';
import { adoptTasks, recoverTasks } from './tasks/recover.ts';
import { Rounds } from './tasks/rounds.ts';
import { agentService } from './service.ts';
import { Expectations } from './runtime/shim/expectations.ts';
import { SOCKET_NAME } from './runtime/shim/protocol.ts';
import { ShimServer } from './runtime/shim/server.ts';
import { Standstills } from './runtime/shim/standstills.ts';
import { Discovery, engineInspect } from './sidecars/discovery.ts';
import { Registrations } from './sidecars/registrations.ts';
import { Sidecars } from './sidecars/sidecars.ts';
import { NetworkViews } from './sidecars/network-views.ts';
import { Ledger, Manifests, PartStore } from './checkpoints/store/index.ts';
import type { PartsListenerOptions } from './transfer/direct/listener.ts';
import { DirectWays, PartsListener, PeerAgents, Tickets, transferPort } from './transfer/index.ts';

export interface AgentOptions {
  readonly host: string;
  readonly port: number;
  /** Default: the host name. */
  readonly node?: string;
  readonly directories: Directories;
  readonly dockerSocket: string;
  /** Default: standard error. */
  readonly logFile?: string;
  readonly verbose: boolean;
}

/** Runs the agent until SIGTERM or SIGINT. First of all it lets go of whatever a predecessor left blocked or frozen. */
export async function runAgent(options: AgentOptions): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new SwarmcutError('usage', 'the agent must run as root: CRIU, nftables and the shim need it');
  const { directories, dockerSocket } = options;
  const node = options.node ?? hostname();
  const log = createLogger({
    program: 'agent',
    level: options.verbose ? 'debug' : 'info',
    ...(options.logFile === undefined ? {} : { file: options.logFile }),
  });
  for (const dir of [directories.state, directories.run]) await mkdir(dir, { recursive: true, mode: 0o700 });
  const journal = new Journal(directories.run);
  const standstills = new Standstills(directories);
  await recoverTasks(directories, { journal, standstills, log });

  const containers = new Containers({ socketPath: dockerSocket, nodeName: node });
  const store = new PartStore(directories);
  await store.open();
  const ledger = new Ledger(directories, store);
  for (const damaged of await ledger.open()) log.error({ file: damaged }, 'a ledger cannot be read and was put aside');

  const manifests = new Manifests(directories);
  await manifests.open((snapshotId) => ledger.mayHave(snapshotId));

  const nodeInfo = new NodeInfo({ directories, node, dockerSocket, log });
  const dataRoot = await nodeInfo.dataRoot();
  // Looked at once now, so that the first round does not wait for it.
  await nodeInfo.info(false);
  const expectations = new Expectations(directories);
  expectations.open({ main: join(packageRoot(), 'dist/agent/main.js'), dataRoot });

  const certificates = join(directories.config, 'agent');
  const memory = new NetworkMemory(directories.run);
  await forgetEnded(containers, { runDir: directories.run, memory, expectations, log });
  const registrations = new Registrations(directories);
  const discovery = new Discovery({ inspect: engineInspect(containers.engine), log });
  const formerAddresses = new FormerAddresses({ source: discovery, log });
  const sidecars = new Sidecars({
    directories,
    containers,
    dataRoot,
    nodeName: node,
    registrations,
    views: new NetworkViews({ source: discovery, log }),
    log,
  });
  const held = new HeldTasks({
    open: (containerId) => openTask(containers, containerId),
    connections: waitingConnections,
    arm: (deadman) => armDeadman({ ...deadman, runDir: directories.run }),
    journal,
    standstills,
    expectations,
    sidecars,
    log,
  });
  const kept = new KeptTasks({ containers, standstills });
  const rounds = new Rounds({ directories, containers, held, store, ledger, memory, sidecars, nodeInfo, log });
  const fences = new Fences(directories);
  const tickets = new Tickets(new SignatureCheck(certificates));
  const identity = new LiveIdentity(certificates);
  const peers = new PeerAgents(() => identity.clientCredentials());
  const direct = new DirectWays({ identity });
  const { file, until } = validUntil(certificates);
  // What is blocked or frozen must still be put back; so it runs, although nobody will talk to it.
  if (until.getTime() < Date.now())
    log.error({ file, until }, "this agent's certificate has expired: issue another one");
  const stager = new StateStager({
    directories,
    dataRoot,
    nodeName: node,
    store,
    unpin: (restoreId) => ledger.release(restoreId),
    peers,
    direct,
    log,
  });
  const restores = new Restores({
    runDir: directories.run,
    expectations,
    stager,
    network: new RestoredNetwork(memory, formerAddresses),
    held,
    sidecars,
    log,
  });
  const repair = new Repair({
    directories,
    containers,
    held,
    rounds,
    restores,
    journal,
    standstills,
    expectations,
    sidecars,
    registrations,
    ledger,
    log,
  });
  const engineWatch = new EngineWatch({
    engine: containers.engine,
    changed: (there) => {
      log.warn(
        { there },
        there ? 'the engine is there again' : 'the engine has gone: nothing waits for standing tasks',
      );
      standstills.engineIs(there);
      if (there)
        void containers.ids().then(
          (present) => standstills.prune(present),
          (error: unknown) => log.warn({ reason: messageOf(error) }, 'marks of containers that have ended may stay'),
        );
    },
  });
  // Before the shim is listened to: a container that is started again must not get a second sidecar.
  await sidecars.open();
  // Nothing between the two: sidecars of tasks that stand still in doubt have just been told to go on.
  await adoptTasks(directories.run, { journal, held, standstills, open: openNoted, log });
  await restores.open();
  const shim = new ShimServer({ socketPath: join(directories.run, SOCKET_NAME), handler: restores, sidecars, log });
  await shim.listen();
  const pidOf = async (id: string): Promise<number> => (await new Runc({ root: await findRuncRoot(id) }).state(id)).pid;
  await leadAgain(pidOf, { memory, former: formerAddresses, log });
  const closeWays = (): void => {
    peers.close();
    direct.close();
  };
  const identityService = new IdentityService({ identity, node, changed: closeWays, log });
  const server = await createAgentServer(
    agentService({
      directories,
      nodeInfo,
      containers,
      rounds,
      restores,
      held,
      kept,
      sidecars,
      memory,
      formerAddresses,
      ledger,
      manifests,
      store,
      tickets,
      repair,
      certificates: identityService,
    }),
    {
      host: options.host,
      port: options.port,
      credentials: identity.serverCredentials(),
      revocations: identity.revocations,
      admit: (fence) => fences.admit(fence),
      onInternalError: (error, method) =>
        log.error(
          { method, error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
          'call failed',
        ),
    },
  );
  const parts = await listenForParts({
    host: options.host,
    port: transferPort(server.port),
    identity,
    store,
    tickets,
    log,
  });
  log.info({ node, host: options.host, port: server.port, partsPort: parts?.port, directories }, 'serving');

  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });
  log.info({ signal }, 'stopping');
  await parts?.close();
  await server.close();
  await shim.close();
  closeWays();
  // What is still blocked or frozen now belongs to a round that cannot go on without us.
  await recoverTasks(directories, { journal, standstills, log });
  engineWatch.close();
  formerAddresses.close();
  sidecars.close();
}

/** Without it everything works as well, more slowly. */
async function listenForParts(options: PartsListenerOptions): Promise<PartsListener | undefined> {
  try {
    return await PartsListener.open(options);
  } catch (error) {
    options.log.warn({ error: messageOf(error) }, 'other agents fetch by gRPC only');
    return undefined;
  }
}

import type { Command } from 'commander';
import { messageOf } from '../../src/model/errors.ts';
import { createLogger } from '../../src/platform/logger.ts';
import type { Catalogue } from '../../src/storage/catalogue.ts';
import { openCatalogue } from '../operations/session/catalogue.ts';
import { globalOptionsOf } from './options.ts';

/**
 * The catalogue, with the snapshots of all managers. What keeps it from being complete is told on standard error (not with `--json`: that is for
 * the error alone) and in the log; what this manager knows itself is there in any case.
 */
export async function gatheredCatalogue(command: Command): Promise<Catalogue> {
  const { directories, dockerSocket, agentPort, logFile, verbose, json } = globalOptionsOf(command);
  const catalogue = openCatalogue(directories);
  const log = createLogger({ file: logFile, level: verbose ? 'debug' : 'info', program: 'coordinator' });
  const tell = (message: string): void => {
    log.warn(message);
    if (!json) process.stderr.write(`${message}\n`);
  };
  try {
    const [{ connectSwarm }, { gatherSnapshots }] = await Promise.all([
      import('../orchestrator/swarm/connect.ts'),
      import('../operations/index.ts'),
    ]);
    const cluster = connectSwarm({ socketPath: dockerSocket, agentPort });
    const unasked = await gatherSnapshots({ configDir: directories.config, log, cluster, catalogue });
    if (unasked.length > 0) {
      const names = unasked.map(({ node, error }) => `${node} (${error})`).join(', ');
      tell(`snapshots that only these nodes know are not shown: ${names}`);
    }
  } catch (error) {
    tell(`only snapshots that this manager knows are shown: ${messageOf(error)}`);
  }
  return catalogue;
}

/**
 * Brings what was changed here beside manifests to the agents that keep them. Nodes that could not be told are named on standard error.
 * @param ids of snapshots
 */
export async function sharedWithAgents(command: Command, ids: readonly string[]): Promise<void> {
  const { directories, dockerSocket, agentPort } = globalOptionsOf(command);
  const [{ connectSwarm }, { shareManifests }] = await Promise.all([
    import('../orchestrator/swarm/connect.ts'),
    import('../operations/index.ts'),
  ]);
  const tell = (why: string): void =>
    void process.stderr.write(`agents keep the former wrapped keys (${why}); do it again when they answer\n`);
  try {
    const cluster = connectSwarm({ socketPath: dockerSocket, agentPort });
    const sharing = { configDir: directories.config, cluster, catalogue: openCatalogue(directories) };
    const untold = await shareManifests(sharing, ids);
    if (untold.length > 0) tell(untold.map(({ node, error }) => `${node}: ${error}`).join(', '));
  } catch (error) {
    tell(messageOf(error));
  }
}

import { SwarmcutError } from '../../src/model/errors.ts';

export const UNIT_NAME = 'swarmcut-agent.service';

export interface UnitOptions {
  readonly node: string;
  /** The agent's main.js. */
  readonly main: string;
  /** Behind `run`. */
  readonly runOptions: readonly string[];
}

/**
 * The agent's systemd unit. `KillMode=process`: what thaws a frozen task after its deadline (the dead man's switch) is a process of
 * its own, and must outlive an agent that is stopped or has died.
 */
export function unitText({ node, main, runOptions }: UnitOptions): string {
  const command = [node, main, 'run', ...runOptions].map(quoted).join(' ');
  return `[Unit]
Description=swarmcut agent: snapshots, restore and migration of this node's Swarm tasks
After=network-online.target docker.service
Wants=network-online.target

[Service]
ExecStart=${command}
Restart=always
RestartSec=1
KillMode=process
# It freezes and restores other processes: it must not be the first to go when memory is short.
OOMScoreAdjust=-900
LimitNOFILE=65536
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`;
}

/** For a command line in a unit file: systemd.service(5), "Command lines". */
function quoted(word: string): string {
  if (/[\n\r]/.test(word)) throw new SwarmcutError('usage', `a line break in ${JSON.stringify(word)}`);
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(word) ? escaped : `"${escaped}"`;
}

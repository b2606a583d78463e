/** Where swarmcut keeps things. Every one can be moved by a flag; see docs/architecture.md, "State on disk". */
export interface Directories {
  /** Snapshots, parts, journals: must survive a reboot. */
  readonly state: string;
  /** Sockets, locks, stages in memory: gone after a reboot. */
  readonly run: string;
  /** Certificates and keys. */
  readonly config: string;
}

export const DEFAULT_DIRECTORIES: Directories = {
  state: '/var/lib/swarmcut',
  run: '/run/swarmcut',
  config: '/etc/swarmcut',
};

/** TCP port of the agents. */
export const DEFAULT_AGENT_PORT = 7433;

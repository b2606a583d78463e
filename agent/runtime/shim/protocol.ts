/**
 * What `agent shim` (client.ts) and the agent (server.ts) say to each other: JSON over HTTP over `<run>/shim.sock`. All calls are
 * answered only when the agent has decided (long poll). The client sends a call again when the agent was restarted meanwhile, so an
 * agent must be ready to be asked twice.
 *
 * An answer is one line of JSON. After `restore` the response to `/create` stays open until `/restored` is asked, so that the agent
 * notices when a shim dies while runc restores.
 */

/** `POST /create`: the engine wants this container created, and its service is expected. */
export interface CreateRequest {
  readonly containerId: string;
  /** Swarm's service name. */
  readonly service: string;
  /** Bundle folder: `config.json` and, in it, the path of the root file system. */
  readonly bundle: string;
  /** Where the engine wants the pid written; to be passed on to `runc restore`. */
  readonly pidFile?: string;
  /** Set for containers with a terminal; to be passed on to `runc restore`. */
  readonly consoleSocket?: string;
  /** Every option of `create` itself as the engine gave it, without the container id. */
  readonly options: readonly string[];
  /** runc's options before the command (`--root`, `--log` …). */
  readonly globals: readonly string[];
  /** The container's labels (`com.docker.swarm.task.id`, `.task.name`, `.service.name` …). */
  readonly labels: Readonly<Record<string, string>>;
}

export type CreateAnswer =
  /** Start it as an ordinary container. */
  | { readonly action: 'pass' }
  /** Run runc with these arguments behind the global options (`restore --detach … <id>`), then ask with `POST /restored`. */
  | { readonly action: 'restore'; readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> }
  | { readonly action: 'fail'; readonly message: string };

/** `POST /restored`: how `runc restore` ended. */
export interface RestoredRequest {
  readonly containerId: string;
  /** Exit code; 128 + number of the signal that ended it. */
  readonly code: number;
  /** The error lines that runc wrote into its log. */
  readonly log: string;
}

export type RestoredAnswer =
  /** The container has been released: tell the engine that it is created. */
  | { readonly action: 'ok' }
  /** Delete it and tell the engine why. */
  | { readonly action: 'fail'; readonly message: string };

/**
 * `POST /start`: the engine wants this container started, and it is to have a sidecar. Answered (with `{}`) when it has one; an error says
 * why it has none, and then it is started without.
 */
export interface StartRequest {
  readonly containerId: string;
  readonly service: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const SOCKET_NAME = 'shim.sock';

/** A request's size is bounded by a container's labels. Bytes. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

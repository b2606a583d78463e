import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { Directories } from '../../../src/model/paths.ts';
import type { HealthCheck } from '../docker/health.ts';

/** What the shim needs to know of a container that stands still. */
export interface Standstill {
  readonly containerId: string;
  /** It runs again, or has ended, by then, whatever has become of the agent. Milliseconds from now. */
  readonly endsInMs: number;
  /** It is decided that it is frozen until it is ended: stops do not wait, and there is no use in letting a health check wait. */
  readonly decided: boolean;
  /** It runs all the while, and may be asked anything: only stops of it wait. */
  readonly runs?: boolean;
  /** Undefined if the engine has no health check for it. */
  readonly health: HealthCheck | undefined;
}

/**
 * Marks of the containers that are blocked or frozen for an operation: until it is decided what becomes of them, the shim lets the engine's stops and
 * health checks wait, and as long as they stand still, no health check fails (agent/runtime/shim/shim.sh). `<run>/still/<container>`, in memory; all calls are synchronous.
 *
 * An engine that starts ends what is left over from before, through the shim, and answers nobody until that is done. Nothing of it would be
 * saved by waiting. So there are no marks while the engine is away.
 */
export class Standstills {
  readonly #folder: string;
  readonly #uptimeS: () => number;
  #engineThere = true;

  /** @param uptimeS seconds since the start of the node, as `/proc/uptime` has them */
  constructor(directories: Pick<Directories, 'run'>, uptimeS: () => number = uptime) {
    this.#folder = join(directories.run, 'still');
    this.#uptimeS = uptimeS;
  }

  /** From now on, or for longer than was said before, the container stands still. */
  mark({ containerId, endsInMs, decided, runs = false, health }: Standstill): void {
    if (!this.#engineThere) return;
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    chmodSync(this.#folder, 0o700);
    const until = Math.ceil(this.#uptimeS() + endsInMs / 1000);
    const [code, probe] = health === undefined ? [0, ''] : [health.unhealthy ? 1 : 0, argumentsAsGoWrites(health.args)];
    // The shim may read it at any moment: never half written.
    const temporary = join(this.#folder, `.${containerId}`);
    writeFileSync(temporary, `${until} ${code}${decided ? ' decided' : runs ? ' runs' : ''}\n${probe}\n`, {
      mode: 0o600,
    });
    renameSync(temporary, join(this.#folder, containerId));
  }

  /** It goes on, or is over. One without a mark is no error. */
  unmark(containerId: string): void {
    rmSync(join(this.#folder, containerId), { force: true });
  }

  /** As {@link unmark}, but one that stands still, or has moved, keeps its mark. */
  unmarkRunning(containerId: string): void {
    if (this.#read(containerId)[2] === 'runs') this.unmark(containerId);
  }

  /**
   * Nothing waits for a decision any more, also not for one of an agent that has died.
   * @param undecided but for that on these: whoever resolves their operation takes it
   */
  clear(undecided: ReadonlySet<string> = new Set()): void {
    for (const name of existsSync(this.#folder) ? readdirSync(this.#folder) : []) {
      const [until = '', , decided] = this.#read(name);
      const stays = decided === 'decided' || undecided.has(name);
      if (!stays || Number(until) <= this.#uptimeS()) this.unmark(name);
    }
  }

  /** Forgets containers that are no more: an engine that was killed has ended them without the shim, which would have. */
  prune(present: ReadonlySet<string>): void {
    for (const name of existsSync(this.#folder) ? readdirSync(this.#folder) : [])
      if (!present.has(name)) this.unmark(name);
  }

  /** Its first words; none if there is no mark. */
  #read(name: string): string[] {
    const file = join(this.#folder, name);
    return existsSync(file) ? readFileSync(file, 'utf8').split(/[ \n]/) : [];
  }

  /** Whether the engine answers. */
  engineIs(there: boolean): void {
    this.#engineThere = there;
    if (!there) this.clear();
  }
}

/** How the arguments stand in the process file that containerd writes for runc: Go's encoder also escapes what could be HTML. */
function argumentsAsGoWrites(args: readonly string[]): string {
  const json = JSON.stringify(args).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `"args":${json}`;
}

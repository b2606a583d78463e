import { writeFile } from 'node:fs/promises';

/**
 * CRIU's options that runc has no flag for. They reach CRIU through a configuration file of our own, named by the environment
 * variable `CRIU_CONFIG_FILE` of the runc process (`man criu`, "CONFIGURATION FILES"; runc hands its environment on to `criu swrk`):
 * the machine's `/etc/criu/default.conf` and `/etc/criu/runc.conf` stay the administrator's.
 */
export interface CriuOptions {
  /** Biggest deleted-but-open file that is carried inside the image, bytes. Default 1 GiB. */
  readonly ghostLimitBytes?: number;
  /**
   * Save files of which one hard link was deleted while open. The links that CRIU makes for them during the dump are gone after it,
   * so the caller must save them (see `saveLinkRemaps`). Default true.
   */
  readonly linkRemap?: boolean;
  /** How long CRIU may take to stop all processes for a dump, seconds (criu(8), `--timeout`). Default: CRIU's own 10, which a busy machine may need more than. */
  readonly stopTimeoutS?: number;
  /** Paths inside the container on which somebody watches with inotify (see `watchedPaths`). */
  readonly inotifyPaths?: readonly string[];
}

const DEFAULT_GHOST_LIMIT_BYTES = 1024 ** 3;

/** Name of the variable by which CRIU finds the file. */
export const CRIU_CONFIG_VARIABLE = 'CRIU_CONFIG_FILE';

/** The text of CRIU's configuration file for one dump or restore. */
export function criuConfig(options: CriuOptions = {}): string {
  const lines = [
    // Packets are blocked by our own nftables rules before, during and after; CRIU's lock would fork iptables twice (90 ms) while frozen.
    'network-lock skip',
    // A connection that nobody has accepted yet is not saved; its peer connects again (TCP resets it on restore).
    'skip-in-flight',
    `ghost-limit ${options.ghostLimitBytes ?? DEFAULT_GHOST_LIMIT_BYTES}`,
  ];
  if (options.stopTimeoutS !== undefined) lines.push(`timeout ${options.stopTimeoutS}`);
  if (options.linkRemap !== false) lines.push('link-remap');
  const paths = (options.inotifyPaths ?? []).filter(isWritable);
  if (paths.length > 0) {
    // overlayfs has no file handles, so CRIU cannot tell which path an inotify watch is on unless it is told where to look.
    lines.push('force-irmap', ...paths.map((path) => `irmap-scan-path "${path}"`));
  }
  return lines.join('\n') + '\n';
}

export async function writeCriuConfig(path: string, options: CriuOptions = {}): Promise<void> {
  await writeFile(path, criuConfig(options), { mode: 0o600 });
}

/** CRIU's parser knows no way to write these characters (criu/config.c, parse_statement). */
function isWritable(path: string): boolean {
  return path.startsWith('/') && !/["#\\\n]/.test(path);
}

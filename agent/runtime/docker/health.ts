import type Docker from 'dockerode';

/** A container's health check, as its engine carries it out. */
export interface HealthCheck {
  /** What is run in the container for a probe. */
  readonly args: readonly string[];
  /** The engine's last word. One that it has not made up its mind about is not unhealthy. */
  readonly unhealthy: boolean;
  /** Longest time that a probe may take. Milliseconds. */
  readonly timeoutMs: number;
  /** A container that starts has been called healthy, or has been given up, within this time. Milliseconds. */
  readonly verdictMs: number;
}

/** What the engine takes where nothing is said. Milliseconds. */
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 3;

/** For checks that are a line for a shell, unless the image names another shell. */
const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** What the engine says of a container, as far as it matters here. */
export interface InspectedHealth {
  readonly Config: Pick<Docker.ContainerInspectInfo['Config'], 'Healthcheck'> & { readonly Shell?: string[] | null };
  readonly State: { readonly Health?: { readonly Status?: string } | undefined };
}

/** @returns undefined if the container has none */
export function healthCheckOf({ Config, State }: InspectedHealth): HealthCheck | undefined {
  const check = Config.Healthcheck;
  const [kind, ...rest] = check?.Test ?? [];
  if (check === undefined || kind === undefined || kind === 'NONE') return undefined;
  const shell = Config.Shell ?? [];
  const args = kind === 'CMD-SHELL' ? [...(shell.length > 0 ? shell : DEFAULT_SHELL), ...rest] : rest;
  const intervalMs = milliseconds(check.Interval, DEFAULT_INTERVAL_MS);
  const timeoutMs = milliseconds(check.Timeout, DEFAULT_TIMEOUT_MS);
  // One more than its retries: the first may come an interval after the end of the start period.
  const probes = orDefault(check.Retries, DEFAULT_RETRIES) + 1;
  return {
    args,
    unhealthy: State.Health?.Status === 'unhealthy',
    timeoutMs,
    verdictMs: milliseconds(check.StartPeriod, 0) + probes * (intervalMs + timeoutMs),
  };
}

/** @param nanoseconds as Go has durations */
function milliseconds(nanoseconds: number | undefined, otherwise: number): number {
  return orDefault(nanoseconds === undefined ? undefined : Math.ceil(nanoseconds / 1_000_000), otherwise);
}

/** The engine takes 0 for not said. */
function orDefault(value: number | undefined, otherwise: number): number {
  return value === undefined || value === 0 ? otherwise : value;
}

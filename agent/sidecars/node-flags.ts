/**
 * How Node is told to be small in a sidecar, of which a node may have a hundred. The heap holds little that lives long; what is copied of
 * bytes is outside of it. Not `--no-opt`: 5 MB less under load, but a third more CPU time for each message. Nor, any more,
 * `--optimize-for-size`: Node 24 with it compiles so late that a new connection costs half as much CPU time again, and no less memory is used.
 */
export const NODE_FLAGS: readonly string[] = [
  // Young objects: two spaces of this many MiB instead of 16.
  '--max-semi-space-size=1',
  // Node 24's middle compiler: 10 MB more under load, and no CPU time less (measured with `bench proxy`'s loads).
  '--no-maglev',
];

/** Of the C library: one arena for all threads, for each further one keeps what it was given; what is free at its end is given back. */
export const NODE_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '131072',
  UV_THREADPOOL_SIZE: '1',
};

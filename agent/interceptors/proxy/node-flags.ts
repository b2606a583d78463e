/**
 * How Node is told to be small in a sidecar, of which a node may have a hundred. The heap holds little that lives long; what is copied of
 * bytes is outside of it.
 */
export const NODE_FLAGS: readonly string[] = [
  // Young objects: three spaces of this many MiB instead of 16.
  '--max-semi-space-size=1',
];

/** Of the C library: one arena for all threads; each further one keeps what it was given. */
export const NODE_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '1' };

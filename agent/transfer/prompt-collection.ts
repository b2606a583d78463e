import { setFlagsFromString } from 'node:v8';

let users = 0;

/**
 * While one of these is held, V8 collects garbage as soon as it finds that there is too much of it, in one go.
 *
 * Transferred bytes pass through buffers outside V8's heap, five for each chunk if both ends are in one process. When some 30 MB of them are
 * there, V8 (Node 22 and later) begins to mark little by little, and on a busy machine a transfer is much quicker than that: 160 MB were seen
 * where 20 are needed. The heap of an agent is small, so one go takes some 10 ms.
 */
export function promptCollection(): Disposable {
  if (users++ === 0) setFlagsFromString('--no-incremental-marking');
  return {
    [Symbol.dispose]: () => {
      if (--users === 0) setFlagsFromString('--incremental-marking');
    },
  };
}

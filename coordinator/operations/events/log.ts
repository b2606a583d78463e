import type { Logger } from '../../../src/platform/logger.ts';
import type { Listener, OperationEvent } from './events.ts';

/** Writes events to a log. Those of a fetch, of which there are many, are left out. */
export function logListener(log: Logger): Listener {
  return { handle: (event) => write(log, event) };
}

function write(log: Logger, event: OperationEvent): void {
  const { kind: _kind, ...details } = event;
  switch (event.kind) {
    case 'operation-begun':
      return log.info(details, 'operation begins');
    case 'operation-ended':
      return event.error === undefined
        ? log.info(details, 'operation has ended')
        : log.error(details, 'operation has failed');
    case 'step-begun':
      return log.debug(details, 'step begins');
    case 'step-done':
      return log.debug(details, 'step is done');
    case 'step-failed':
      return log.warn(details, 'step has failed');
    case 'fetch-progress':
      return;
    case 'information':
      return log.info(event.message);
    case 'warning':
      return log.warn(event.message);
  }
}

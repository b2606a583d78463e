import { messageOf } from '../../../src/model/errors.ts';
import type { Emit, Listener } from './events.ts';

/**
 * Sends each event to several listeners. One that fails is told of and then left alone: no operation fails because somebody cannot show it.
 * @param onFault told once for each listener that fails
 */
export function broadcast(listeners: readonly Listener[], onFault: (message: string) => void): Emit {
  const alive = new Set(listeners);
  return (event) => {
    for (const listener of alive) {
      try {
        listener.handle(event);
      } catch (error) {
        alive.delete(listener);
        onFault(messageOf(error));
      }
    }
  };
}

/** From service names to the addresses of their tasks. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/**
 * IPv4 addresses of all tasks of a service: Swarm's `tasks.<name>`, which lists them whatever the endpoint mode, then
 * the bare name. An address is its own answer. Empty if the name is not known (yet).
 */
export async function taskAddresses(name: string): Promise<string[]> {
  if (isIP(name) !== 0) return [name];
  for (const query of [`tasks.${name}`, name]) {
    try {
      const found = await lookup(query, { all: true, family: 4 });
      return [...new Set(found.map(({ address }) => address))];
    } catch {
      // Not known: the service has no running task, or this is no Swarm network. The caller asks again.
    }
  }
  return [];
}

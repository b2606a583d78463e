import type { Alias } from '../task.ts';
import { linkOf } from './links.ts';

/** An address that was a task's or a service's, and where connections to it go now. Same shape as `FormerAddress` in proto/agent.proto. */
export interface FormerAddress {
  readonly address: string;
  /** Present addresses of the tasks; several of a virtual address, of which each connection takes the next. */
  readonly to: string[];
  /** Under which address the task reaches them. */
  readonly from: string;
  readonly network: string;
  /** Whose it was. */
  readonly service: string;
}

/** A virtual address that a service had at the cut. */
export interface VirtualAddress extends Alias {
  readonly service: string;
  /** Keys of the tasks behind it. */
  readonly tasks: readonly string[];
}

/** What must be known of each task. */
export interface TaskPlace {
  readonly task: { readonly key: string; readonly aliases: readonly Alias[]; readonly addresses: readonly Alias[] };
  /** Its address on each link (`linkOf`) from now on. */
  readonly presentOn: ReadonlyMap<string, string>;
}

/**
 * Programs remember addresses: those of tasks, and virtual ones. What was an address of a task or service, and is nobody's now as far as is known,
 * leads to where that task or service is. Of two tasks that have had it the last one counts, if that can be told.
 * @param taken addresses of others, and the services' present virtual ones
 * @returns for one of the tasks, what is to be led for it: on the networks that it is on
 */
export function formerAddresses(
  places: readonly TaskPlace[],
  virtual: readonly VirtualAddress[],
  taken: readonly string[],
): (of: TaskPlace) => FormerAddress[] {
  const present = new Set([...taken, ...places.flatMap(({ presentOn }) => [...presentOn.values()])]);
  const led = new Map<string, Omit<FormerAddress, 'from' | 'address'> & { readonly link: string }>();
  const lead = ({ address, network }: Alias, service: string, tasks: readonly TaskPlace[]): void => {
    const link = linkOf({ address, network });
    const known = tasks.flatMap(({ presentOn }) => presentOn.get(link) ?? []);
    if (!present.has(address) && !led.has(address) && known.length > 0)
      led.set(address, { link, network, service, to: known });
  };
  for (const one of virtual)
    lead(
      one,
      one.service,
      places.filter(({ task }) => one.tasks.includes(task.key)),
    );
  for (const place of places) for (const one of place.task.addresses) lead(one, serviceOf(place), [place]);
  const claims = new Map<string, number>();
  for (const { task } of places)
    for (const address of new Set(task.aliases.map((alias) => alias.address)))
      claims.set(address, (claims.get(address) ?? 0) + 1);
  for (const place of places)
    for (const one of place.task.aliases) if (claims.get(one.address) === 1) lead(one, serviceOf(place), [place]);
  return ({ presentOn }) =>
    [...led].flatMap(([address, { link, to, network, service }]) => {
      const from = presentOn.get(link);
      return from === undefined ? [] : [{ address, to: [...to], from, network, service }];
    });
}

/** The key is `service.slot`. */
function serviceOf({ task }: TaskPlace): string {
  return task.key.slice(0, task.key.lastIndexOf('.'));
}

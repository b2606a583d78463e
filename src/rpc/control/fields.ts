interface Kinds {
  readonly number: number;
  readonly string: string;
  readonly boolean: boolean;
  readonly object: object;
}

/**
 * One field of what an agent or a sidecar has sent as JSON. That is of our own making, over a socket that only root can open, so only the
 * kind is looked at, and by hand: a library for it is 10 MB in each sidecar.
 * @throws Error that names the field
 */
export function field<K extends keyof Kinds>(params: unknown, name: string, kind: K): Kinds[K] {
  const value = optionalField(params, name, kind);
  if (value === undefined) throw new Error(`${name} is missing`);
  return value;
}

/** As {@link field}, for one that may be left out. */
export function optionalField<K extends keyof Kinds>(params: unknown, name: string, kind: K): Kinds[K] | undefined {
  if (typeof params !== 'object' || params === null) throw new Error(`${name}: no object around it`);
  const value: unknown = (params as Readonly<Record<string, unknown>>)[name];
  if (value === undefined) return undefined;
  if (typeof value !== kind || value === null) throw new Error(`${name} is no ${kind}`);
  return value as Kinds[K];
}

/** A list that holds only things of one kind, empty if it is left out. @throws Error that names it */
export function listField<K extends keyof Kinds>(params: unknown, name: string, kind: K): readonly Kinds[K][] {
  const list: unknown = optionalField(params, name, 'object') ?? [];
  if (!Array.isArray(list) || !list.every((each) => typeof each === kind && each !== null))
    throw new Error(`${name} is no list of ${kind}`);
  return list as Kinds[K][];
}

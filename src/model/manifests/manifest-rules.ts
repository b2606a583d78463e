import { ID_PATTERN } from '../ids.ts';
import { isStackName } from '../stack-name.ts';
import { taskKey } from '../task.ts';
import type { TaskRef } from '../task.ts';

/** What the rules look at: all of it has passed the schema's types. */
export interface RuledManifest {
  readonly id: string;
  readonly stack: string;
  readonly tasks: readonly {
    readonly task: TaskRef;
    readonly node: string;
    readonly parts: readonly { readonly kind: string; readonly path: string; readonly wrappedKey?: string }[];
  }[];
  readonly encryption?: object | undefined;
  /** 1 without encryption, 2 with it. */
  readonly schemaVersion: number;
  readonly services: readonly { readonly name: string }[];
}

/** A field that breaks a rule, and which. */
export interface BrokenRule {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Swarm's ids and the engine's: letters and digits, more never. */
const REFERENCE = /^[a-zA-Z0-9_-]{1,128}$/;

/** Letters, digits and what host names have. */
const NODE_OR_SLOT = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,252}$/;

/**
 * What must hold in a manifest beyond the types of its fields: it names its stack and at least one task, every task once, and only tasks of
 * services that it has. Without that a restore would replace what runs by something else than the snapshot.
 */
export function brokenRules(manifest: RuledManifest): BrokenRule[] {
  const broken: BrokenRule[] = [];
  const refuse = (message: string, ...path: (string | number)[]): void => void broken.push({ path, message });
  if (!ID_PATTERN.test(manifest.id)) refuse('is not the id of a snapshot', 'id');
  if (!isStackName(manifest.stack)) refuse('is not the name of a stack', 'stack');
  if (manifest.tasks.length === 0) refuse('a snapshot has at least one task', 'tasks');
  const encrypted = manifest.encryption !== undefined;
  if (encrypted !== (manifest.schemaVersion === 2))
    refuse(`schema version ${manifest.schemaVersion} does not say so`, 'encryption');
  const services = new Set<string>();
  manifest.services.forEach(({ name }, index) => {
    if (!isStackName(name)) refuse('is not the name of a service', 'services', index, 'name');
    else if (services.has(name)) refuse(`service ${name} is there twice`, 'services', index, 'name');
    services.add(name);
  });
  const tasks = new Set<string>();
  manifest.tasks.forEach(({ task, node, parts }, index) => {
    const key = taskKey(task);
    const at = ['tasks', index] as const;
    if (!services.has(task.service)) refuse('is no service of the snapshot', ...at, 'task', 'service');
    if (!NODE_OR_SLOT.test(task.slot)) refuse('is not a slot', ...at, 'task', 'slot');
    if (!REFERENCE.test(task.taskId)) refuse('is not the id of a task', ...at, 'task', 'taskId');
    if (!REFERENCE.test(task.containerId)) refuse('is not the id of a container', ...at, 'task', 'containerId');
    if (!NODE_OR_SLOT.test(node)) refuse('is not the name of a node', ...at, 'node');
    if (tasks.has(key)) refuse(`task ${key} is there twice`, ...at);
    tasks.add(key);
    if (parts.length === 0) refuse('a checkpoint has at least one part', ...at, 'parts');
    const names = new Set<string>();
    parts.forEach(({ kind, path, wrappedKey }, part) => {
      if (encrypted !== (wrappedKey !== undefined))
        refuse(
          encrypted ? 'an encrypted snapshot has a key for each part' : 'only an encrypted snapshot has keys',
          ...at,
          'parts',
          part,
          'wrappedKey',
        );
      if (names.has(`${kind} ${path}`)) refuse(`part ${kind} ${path} is there twice`, ...at, 'parts', part);
      names.add(`${kind} ${path}`);
    });
  });
  return broken;
}

/**
 * The first field that a manifest has and its schema does not know. Within one schema version nothing is added: what we do not know may
 * change what a restore has to do.
 * @param parsed the same as the schema has understood it
 */
export function unknownField(value: unknown, parsed: unknown, path = ''): string | undefined {
  if (typeof value !== 'object' || value === null || typeof parsed !== 'object' || parsed === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const field = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(parsed, key)) return field;
    const found = unknownField(inner, (parsed as Record<string, unknown>)[key], field);
    if (found !== undefined) return found;
  }
  return undefined;
}

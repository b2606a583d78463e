import { SwarmcutError, messageOf } from '../../src/model/errors.ts';

/** Name under which the shim is registered with the engine. */
export const RUNTIME_NAME = 'swarmcut';

type Json = Record<string, unknown>;

/**
 * What daemon.json must say for the engine to call the shim; everything else in it stays, in its order.
 * @param text the present contents; undefined if there is no file
 * @throws SwarmcutError `precondition` if it is not JSON, or another runtime than runc is the default (the shim stands in for runc only)
 */
export function withShim(text: string | undefined, shimPath: string, file: string): string {
  const settings = parse(text, file);
  const present = settings['default-runtime'];
  if (present !== undefined && present !== 'runc' && present !== RUNTIME_NAME) {
    throw new SwarmcutError(
      'precondition',
      `the engine's default runtime is ${JSON.stringify(present)}, and swarmcut's shim can stand in for runc only`,
      { where: { file }, advice: `Remove "default-runtime" from ${file}, or leave this node out.` },
    );
  }
  const runtimes = { ...objectOf(settings.runtimes), [RUNTIME_NAME]: { path: shimPath } };
  return print({ ...settings, 'default-runtime': RUNTIME_NAME, runtimes }, text);
}

/**
 * Takes out what {@link withShim} put in.
 * @param before the contents before the installation, if they were kept: says what was the default then
 * @returns undefined if nothing is left and there was no file before
 */
export function withoutShim(text: string, before: string | undefined, file: string): string | undefined {
  const settings = parse(text, file);
  const former = before === undefined ? {} : parse(before, file);
  const { [RUNTIME_NAME]: ours, ...others } = objectOf(settings.runtimes);
  const isDefault = settings['default-runtime'] === RUNTIME_NAME;
  if (ours === undefined && !isDefault) return text;
  const entries = Object.entries(settings).flatMap(([key, value]): [string, unknown][] => {
    if (key === 'runtimes') {
      return Object.keys(others).length > 0 || former.runtimes !== undefined ? [[key, others]] : [];
    }
    if (key === 'default-runtime' && isDefault) {
      return former[key] === undefined || former[key] === RUNTIME_NAME ? [] : [[key, former[key]]];
    }
    return [[key, value]];
  });
  if (entries.length === 0 && before === undefined) return undefined;
  return print(Object.fromEntries(entries), text);
}

/** Whether the engine's configuration names this shim as the default runtime. */
export function namesShim(text: string | undefined, shimPath: string, file: string): boolean {
  const settings = parse(text, file);
  return (
    settings['default-runtime'] === RUNTIME_NAME &&
    objectOf(objectOf(settings.runtimes)[RUNTIME_NAME]).path === shimPath
  );
}

function parse(text: string | undefined, file: string): Json {
  if (text === undefined || text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new SwarmcutError('precondition', `${file} is not JSON: ${messageOf(error)}`, {
      where: { file },
      advice: 'The engine would not take it either: mend it first.',
      cause: error,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SwarmcutError('precondition', `${file} does not hold a JSON object`, { where: { file } });
  }
  return value as Json;
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

/** In the indentation that the file had. */
function print(settings: Json, former: string | undefined): string {
  const indentation = /^\{\s*\n([ \t]+)"/.exec(former ?? '')?.[1] ?? '  ';
  return `${JSON.stringify(settings, undefined, indentation)}\n`;
}

import { isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Alias, Node, YAMLMap } from 'yaml';
import { excerpt } from '../model/visible.ts';

/** The longest file that is read. UTF-16 units. YAML takes some 35 bytes of memory for each, and up to 10 µs. */
export const MAX_TEXT_LENGTH = 1024 * 1024;

/** Pairs that `<<` may bring into the maps of one file, together. Merges can multiply: a megabyte could stand for billions. */
const MAX_MERGED_PAIRS = 500_000;

/** A pair of a map. `offset` is where its key stands. */
export interface Entry {
  readonly name: string;
  readonly value: unknown;
  readonly offset: number;
}

/** Why a text is no tree that can be read, and where. */
export class TreeError extends Error {
  override readonly name = 'TreeError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** The YAML of a compose file, with aliases and merges followed. Bounded in time and memory by the length of the text. */
export class ComposeTree {
  readonly root: unknown;
  /** What is wrong with the text as YAML; when there is anything, nothing else is to be relied on. */
  readonly errors: readonly TreeError[];
  readonly #anchors = new Map<Alias, Node>();
  readonly #entries = new Map<YAMLMap, readonly Entry[]>();
  /** Maps whose entries are being gathered, from the outermost in. */
  readonly #open = new Set<YAMLMap>();
  #mergedPairs = 0;

  /** @throws TreeError when the text is too long; RangeError when it is nested too deeply */
  constructor(text: string) {
    if (text.length > MAX_TEXT_LENGTH)
      throw new TreeError(`the file is longer than ${MAX_TEXT_LENGTH / 2 ** 20} MiB`, 0);
    // The library compares each key with all others of its map, and resolves an alias by walking through the whole document.
    const document = parseDocument(text, { uniqueKeys: false, prettyErrors: false });
    this.root = document.contents;
    this.errors = [
      ...distinct(document.errors).map(
        ({ message, pos }) => new TreeError(`not YAML: ${excerpt(message, 200)}`, pos[0]),
      ),
      ...(document.errors.length > 0 ? [] : this.#index(document.contents)),
    ];
  }

  /** Value of a key, or undefined: also when `owner` is no map. */
  child(owner: unknown, key: string): unknown {
    return this.entries(owner).find(({ name }) => name === key)?.value;
  }

  /**
   * Pairs of a map, aliases followed; those that `<<` merges in come last and give way to the map's own. Empty when it is no map.
   * @throws TreeError when a map is merged into itself, or merges bring in too much
   */
  entries(map: unknown): readonly Entry[] {
    if (!isMap(map)) return [];
    const known = this.#entries.get(map);
    if (known !== undefined) return known;
    this.#open.add(map);
    const own = new Map<string, Entry>();
    const sources: unknown[] = [];
    for (const pair of map.items) {
      const name = scalarText(pair.key);
      if (name === '<<') {
        const value = this.#unlessOpen(pair.value);
        if (isSeq(value)) sources.push(...value.items);
        else sources.push(pair.value);
      } else own.set(name, { name, value: this.resolve(pair.value), offset: offsetOf(pair.key) });
    }
    for (const source of sources) {
      for (const entry of this.entries(this.#unlessOpen(source))) {
        if (++this.#mergedPairs > MAX_MERGED_PAIRS)
          throw new TreeError(`merges (<<) bring in more than ${MAX_MERGED_PAIRS} keys`, offsetOf(source));
        if (!own.has(entry.name)) own.set(entry.name, entry);
      }
    }
    this.#open.delete(map);
    const entries = [...own.values()];
    this.#entries.set(map, entries);
    return entries;
  }

  /** Items of a sequence, aliases followed, or undefined when it is none. */
  items(node: unknown): { readonly value: unknown; readonly offset: number }[] | undefined {
    if (!isSeq(node)) return undefined;
    return node.items.map((item) => ({ value: this.resolve(item), offset: offsetOf(item) }));
  }

  /** Follows an alias to its anchor. */
  resolve(node: unknown): unknown {
    return isAlias(node) ? this.#anchors.get(node) : node;
  }

  #unlessOpen(source: unknown): unknown {
    const value = this.resolve(source);
    if (isMap(value) && this.#open.has(value)) {
      const name = isAlias(source) ? ` *${excerpt(source.source)}` : '';
      throw new TreeError(`the anchor${name} is merged into itself`, offsetOf(source));
    }
    return value;
  }

  /** Finds out what each alias stands for, and which keys stand twice. */
  #index(contents: Node | null): TreeError[] {
    const errors: TreeError[] = [];
    const named = new Map<string, Node>();
    visit(contents, {
      Node: (_key, node) => {
        if (isAlias(node)) {
          const target = named.get(node.source);
          if (target !== undefined) this.#anchors.set(node, target);
          else errors.push(new TreeError(`not YAML: there is no anchor for *${excerpt(node.source)}`, offsetOf(node)));
          return;
        }
        if (node.anchor !== undefined) named.set(node.anchor, node);
        if (isMap(node)) errors.push(...repeatedKeys(node));
      },
    });
    return errors;
  }
}

/** A bracket that is missing is told once for each level that it would have closed. */
function distinct<Told extends { readonly message: string; readonly pos: readonly [number, number] }>(
  errors: readonly Told[],
): Told[] {
  return errors.filter(({ message, pos }, index) => {
    const before = errors[index - 1];
    return before?.message !== message || before.pos[0] !== pos[0];
  });
}

function repeatedKeys(map: YAMLMap): TreeError[] {
  const seen = new Set<string>();
  return map.items.flatMap(({ key }) => {
    const name = scalarText(key);
    if (name === '' || name === '<<') return [];
    if (seen.has(name))
      return [new TreeError(`not YAML: the key ${excerpt(name)} stands twice in this map`, offsetOf(key))];
    seen.add(name);
    return [];
  });
}

/** A scalar as Compose reads it in keys and labels; empty for anything else. */
export function scalarText(node: unknown): string {
  if (!isScalar(node)) return '';
  const { value } = node;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function offsetOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import { LABELS, LABEL_PREFIX, checkLabel, labelOf, opinions, opinionsText } from './labels.ts';
import type { ServiceLabels } from './labels.ts';
import { parseDurationMs } from './duration.ts';

/** Something wrong in a compose file. Lines and columns count from 1. */
export interface Finding {
  readonly line: number;
  readonly column: number;
  readonly service?: string;
  readonly message: string;
  readonly advice?: string;
  /** It works, but perhaps not as meant. */
  readonly warning?: true;
}

/** What is known about algorithms by whoever asks: this folder knows none. */
export interface LintContext {
  readonly algorithms: readonly string[];
  /** Those of them that need a sidecar beside each task. */
  readonly proxied?: readonly string[];
}

/** One label of ours, and where it stands. */
interface Label {
  readonly name: string;
  readonly value: string;
  readonly offset: number;
}

/**
 * Checks the `swarmcut.*` labels in a compose file: in `deploy.labels` and `labels` of each service, as a map or as a list.
 * @param text the file's contents
 * @returns what is wrong, in the order of the file; empty when nothing is
 */
export function lintCompose(text: string, { algorithms, proxied = [] }: LintContext): Finding[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number): { line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    return document.errors.map((error) => ({
      ...at(error.pos[0]),
      message: `not YAML: ${error.message.split('\n', 1)[0] ?? ''}`,
    }));
  }
  const services = document.get('services');
  if (!isMap(services)) {
    return [{ line: 1, column: 1, message: 'there are no services', advice: 'is this a compose file?' }];
  }

  const findings: Finding[] = [];
  const labelled: LabelledService[] = [];
  for (const { name: service, value: body, offset } of entriesOf(document, services)) {
    const onService = labelsOf(document, child(document, body, 'deploy'));
    const onContainer = labelsOf(document, body);
    for (const label of [...onService, ...onContainer]) {
      const problem = checkLabel(label.name, label.value, algorithms);
      if (problem === undefined) continue;
      const { message, advice } = problem;
      findings.push({ ...at(label.offset), service, message, ...(advice === undefined ? {} : { advice }) });
    }
    labelled.push({
      service,
      offset,
      deploy: Object.fromEntries(onService.map(({ name, value }) => [name, value])),
      container: Object.fromEntries(onContainer.map(({ name, value }) => [name, value])),
      offsets: new Map([...onContainer, ...onService].map(({ name, offset }) => [name, offset])),
    });
  }
  findings.push(...disagreements(labelled, at), ...sidecarWarnings(labelled, at, proxied));
  return findings.sort((a, b) => a.line - b.line || a.column - b.column);
}

interface LabelledService extends ServiceLabels {
  /** Where the service's name stands. */
  readonly offset: number;
  /** Where each label stands. */
  readonly offsets: ReadonlyMap<string, number>;
}

type Locate = (offset: number) => { line: number; column: number };

/**
 * Agents see the labels of a container before it starts, and those of its service never: a label on the service alone works only after
 * `coordinator attach`. And sidecars are given only to services that declare them, while a cut needs all.
 */
function sidecarWarnings(services: readonly LabelledService[], at: Locate, proxied: readonly string[]): Finding[] {
  const wants = (labels: ServiceLabels['deploy']): boolean => proxied.includes(labels[LABELS.algorithm] ?? '');
  const declaring = services.filter((service) => proxied.includes(labelOf(service, LABELS.algorithm) ?? ''));
  const [first] = declaring;
  if (first === undefined) return [];
  const algorithm = labelOf(first, LABELS.algorithm) ?? '';
  return services.flatMap((service): Finding[] => {
    const { service: name, deploy, container, offset, offsets } = service;
    if (labelOf(service, LABELS.algorithm) === undefined) {
      return [
        {
          ...at(offset),
          service: name,
          message: `${algorithm} needs a sidecar beside every task, and this service declares none`,
          advice: `add ${LABELS.algorithm}: ${algorithm} under labels`,
          warning: true,
        },
      ];
    }
    if (!wants(deploy) || wants(container)) return [];
    return [
      {
        ...at(offsets.get(LABELS.algorithm) ?? offset),
        service: name,
        message: `${LABELS.algorithm} is only under deploy.labels: tasks get no sidecar before \`coordinator attach\``,
        advice:
          'declare it under labels (of the service, beside image): then they have it from their first instruction on',
        warning: true,
      },
    ];
  });
}

/** Each disagreement is told once, at the first service that differs from those before it. */
function disagreements(services: readonly LabelledService[], at: Locate): Finding[] {
  return Object.values(LABELS).flatMap((label): Finding[] => {
    const all = opinions(services, label, label === LABELS.freezeTimeout ? parseDurationMs : undefined);
    const second = services.find((service) => service.service === all[1]?.services[0]);
    if (second === undefined) return [];
    return [
      {
        ...at(second.offsets.get(label) ?? 0),
        service: second.service,
        message: `the services disagree about ${label}: ${opinionsText(all)}`,
        advice: 'give them the same value',
      },
    ];
  });
}

/** Our labels under `labels` of a node: `name: value` pairs, or a list of `name=value`. */
function labelsOf(document: Document, owner: unknown): Label[] {
  const labels = child(document, owner, 'labels');
  const found = isSeq(labels)
    ? labels.items.map((item): Label => {
        const [name = '', ...rest] = scalarText(resolve(document, item)).split('=');
        return { name, value: rest.join('='), offset: offsetOf(item) };
      })
    : entriesOf(document, labels).map(({ name, value, offset }): Label => ({ name, value: scalarText(value), offset }));
  // What a variable stands for is known only when the stack is deployed.
  return found.filter(({ name, value }) => name.startsWith(LABEL_PREFIX) && !value.includes('${'));
}

function child(document: Document, owner: unknown, key: string): unknown {
  return entriesOf(document, owner).find(({ name }) => name === key)?.value;
}

/** Pairs of a map, aliases followed; those that `<<` merges in come last and give way to the map's own. */
function entriesOf(document: Document, map: unknown): { name: string; value: unknown; offset: number }[] {
  if (!isMap(map)) return [];
  const own: { name: string; value: unknown; offset: number }[] = [];
  const merged: typeof own = [];
  for (const pair of map.items) {
    const name = scalarText(pair.key);
    const value = resolve(document, pair.value);
    if (name !== '<<') own.push({ name, value, offset: offsetOf(pair.key) });
    else
      for (const source of isSeq(value) ? value.items : [value])
        merged.push(...entriesOf(document, resolve(document, source)));
  }
  const names = new Set(own.map(({ name }) => name));
  for (const entry of merged) {
    if (names.has(entry.name)) continue;
    names.add(entry.name);
    own.push(entry);
  }
  return own;
}

/** Follows an alias to its anchor. */
function resolve(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function scalarText(node: unknown): string {
  if (!isScalar(node)) return '';
  const { value } = node;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

function offsetOf(node: unknown): number {
  return (node as Node | null)?.range?.[0] ?? 0;
}

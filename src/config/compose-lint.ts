import { LineCounter, isMap } from 'yaml';
import { ComposeTree, MAX_TEXT_LENGTH, TreeError, scalarText } from './compose-tree.ts';
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

/** What bounds a lint. A longer file is refused; of more findings than this, the first are told. */
export const LINT_LIMITS = { bytes: MAX_TEXT_LENGTH, findings: 1_000 } as const;

/** One label of ours, and where it stands. */
interface Label {
  readonly name: string;
  readonly value: string;
  readonly offset: number;
}

/**
 * Checks the `swarmcut.*` labels in a compose file: in `deploy.labels` and `labels` of each service, as a map or as a list.
 * @param text the file's contents
 * @returns what is wrong, in the order of the file; empty when nothing is. Values in messages are shortened, and have no control bytes
 */
export function lintCompose(text: string, context: LintContext): Finding[] {
  const at = locator(text.slice(0, MAX_TEXT_LENGTH));
  try {
    return firstOf(findingsOf(new ComposeTree(text), at, context));
  } catch (error) {
    if (error instanceof TreeError) return [{ ...at(error.offset), message: error.message }];
    // What YAML's parser and our own walk through the tree have in common: both are recursive.
    if (error instanceof RangeError) return [{ line: 1, column: 1, message: 'the file is nested too deeply' }];
    throw error;
  }
}

function findingsOf(tree: ComposeTree, at: Locate, { algorithms, proxied = [] }: LintContext): Finding[] {
  if (tree.errors.length > 0) return tree.errors.map(({ message, offset }) => ({ ...at(offset), message }));
  const services = tree.child(tree.root, 'services');
  if (!isMap(services)) {
    return [{ line: 1, column: 1, message: 'there are no services', advice: 'is this a compose file?' }];
  }

  const findings: Finding[] = [];
  const labelled: LabelledService[] = [];
  for (const { name: service, value: body, offset } of tree.entries(services)) {
    const onService = labelsOf(tree, tree.child(body, 'deploy'));
    const onContainer = labelsOf(tree, body);
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

function firstOf(findings: Finding[]): Finding[] {
  const more = findings.length - LINT_LIMITS.findings;
  if (more <= 0) return findings;
  const shown = findings.slice(0, LINT_LIMITS.findings);
  const last = shown.at(-1);
  return [
    ...shown,
    { line: last?.line ?? 1, column: last?.column ?? 1, message: `${more} findings more are not shown` },
  ];
}

/** Lines and columns of offsets into a text. */
function locator(text: string): Locate {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) lines.addNewLine(end + 1);
  return (offset) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
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
  // Whether a program may have Multipath TCP is each service's own business.
  return [LABELS.algorithm, LABELS.external, LABELS.freezeTimeout].flatMap((label): Finding[] => {
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
function labelsOf(tree: ComposeTree, owner: unknown): Label[] {
  const labels = tree.child(owner, 'labels');
  const found =
    tree.items(labels)?.map(({ value: item, offset }): Label => {
      const [name = '', ...rest] = scalarText(item).split('=');
      return { name, value: rest.join('='), offset };
    }) ?? tree.entries(labels).map(({ name, value, offset }): Label => ({ name, value: scalarText(value), offset }));
  // What a variable stands for is known only when the stack is deployed.
  return found.filter(({ name, value }) => name.startsWith(LABEL_PREFIX) && !value.includes('${'));
}

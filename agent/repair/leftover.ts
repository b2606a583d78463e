/** What kinds of things are looked for. Also in proto/agent.proto and docs/cli.md. */
export type LeftoverKind =
  | 'frozen task'
  | 'blocked task'
  | 'rules of a round'
  | 'rules of a sidecar'
  | "dead man's switch"
  | 'file'
  | 'journal entry'
  | 'stage'
  | 'part'
  | 'mount';

/** Something on this node that belongs to no operation that this agent knows of; or that seems to, and {@link inUse} says why it stays. */
export interface Leftover {
  readonly kind: LeftoverKind;
  /** Container, file or process: names it, together with the kind. */
  readonly subject: string;
  /** For people. */
  readonly detail: string;
  /** Stack of the task that it concerns; undefined if there is none. */
  readonly stack?: string | undefined;
  /** Why it is not touched; undefined: it can be cleared. */
  readonly inUse?: string | undefined;
  /** Puts it right. Looks again first, as far as it is dangerous. */
  readonly clear: () => Promise<void>;
}

export function keyOf({ kind, subject }: Pick<Leftover, 'kind' | 'subject'>): string {
  return `${kind} ${subject}`;
}

import { z } from 'zod';
import type { FetchTicket__Output } from './generated/swarmcut/FetchTicket.ts';
import type { Signer } from './signatures.ts';

/** Longest time for which a ticket is good. Milliseconds. */
export const LONGEST_TICKET_MS = 60 * 60_000;

const grantSchema = z.strictObject({
  version: z.literal(1),
  restoreId: z.string().min(1),
  /** Who may fetch: the node in the caller's certificate. */
  node: z.string().min(1),
  /** What it may fetch. */
  sha256: z.array(z.string()),
  /** Wall clock, milliseconds since 1970. */
  expiresAtMs: z.number().int(),
});

/** One node may fetch these parts for this restore until then. */
export type FetchGrant = Omit<z.infer<typeof grantSchema>, 'version'>;

/** The coordinator's word for it, to be handed to that node. @throws SwarmcutError `precondition` when the key cannot be read */
export function issueFetchTicket(signer: Pick<Signer, 'sign'>, grant: FetchGrant): FetchTicket__Output {
  const bytes = Buffer.from(JSON.stringify({ version: 1, ...grant } satisfies z.infer<typeof grantSchema>));
  const { certificate, signature } = signer.sign('fetch-ticket', bytes);
  return { grant: bytes, signature: Buffer.from(signature), certificate };
}

/** What a ticket says, whoever made it. @returns undefined when it is none */
export function readFetchGrant(bytes: Uint8Array): FetchGrant | undefined {
  try {
    const parsed = grantSchema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.data;
  } catch {
    return undefined;
  }
}

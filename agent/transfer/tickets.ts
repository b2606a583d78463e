import { SwarmcutError } from '../../src/model/errors.ts';
import { LONGEST_TICKET_MS, peerText, readFetchGrant } from '../../src/rpc/index.ts';
import type { FetchGrant, Peer, ReceivedOf, SignatureCheck } from '../../src/rpc/index.ts';

/**
 * Who may fetch what. Another node's agent shows a ticket that the coordinator has signed for it: for the parts that a restore assigns to that
 * node, until the restore is over. Nothing has to be known here beforehand; only the ends of restores are remembered, for as long as
 * a ticket can be good.
 */
export class Tickets {
  readonly #check: Pick<SignatureCheck, 'problem'>;
  readonly #nowMs: () => number;
  /** When each restore was over, by its id. */
  readonly #ended = new Map<string, number>();

  /** @param nowMs wall clock: tickets are made on another machine */
  constructor(check: Pick<SignatureCheck, 'problem'>, nowMs: () => number = Date.now) {
    this.#check = check;
    this.#nowMs = nowMs;
  }

  /** The restore is over or was given up: its tickets are worth nothing any more. */
  end(restoreId: string): void {
    const now = this.#nowMs();
    for (const [id, at] of this.#ended) if (now - at > LONGEST_TICKET_MS) this.#ended.delete(id);
    this.#ended.set(restoreId, now);
  }

  /**
   * Checks what does not change: who asks, for what, and who allows it. The coordinator may fetch anything.
   * @returns to be called before each part: throws once the ticket has ended
   * @throws SwarmcutError `precondition` saying why not
   */
  admit(peer: Peer, { sha256, ticket }: Pick<ReceivedOf<'fetch'>, 'sha256' | 'ticket'>): () => void {
    if (peer.role === 'coordinator') return () => undefined;
    const grant = this.#grantOf(peer, ticket);
    const allowed = new Set(grant.sha256);
    const other = sha256.find((hash) => !allowed.has(hash));
    if (other !== undefined) throw refused(peer, `its ticket for restore ${grant.restoreId} is not for part ${other}`);
    const stillGood = (): void => this.#refuseEnded(peer, grant);
    stillGood();
    return stillGood;
  }

  #grantOf(peer: Peer, ticket: ReceivedOf<'fetch'>['ticket']): FetchGrant {
    if (ticket === null) throw refused(peer, 'it has no ticket of a coordinator');
    const problem = this.#check.problem('fetch-ticket', ticket.grant, ticket, new Date(this.#nowMs()));
    if (problem !== undefined) throw refused(peer, `its ticket is worth nothing: ${problem}`);
    const grant = readFetchGrant(ticket.grant);
    if (grant === undefined) throw refused(peer, 'its ticket cannot be read');
    if (peer.role !== 'agent' || grant.node !== peer.node) throw refused(peer, `its ticket is for node ${grant.node}`);
    return grant;
  }

  #refuseEnded(peer: Peer, { restoreId, expiresAtMs }: FetchGrant): void {
    if (this.#ended.has(restoreId)) throw refused(peer, `restore ${restoreId} is over`);
    const now = this.#nowMs();
    if (now > expiresAtMs) {
      const [end, here] = [expiresAtMs, now].map((ms) => new Date(ms).toISOString());
      throw refused(peer, `its ticket for restore ${restoreId} ended at ${end}, and it is ${here} here`);
    }
    if (expiresAtMs - now > LONGEST_TICKET_MS + CLOCKS_APART_MS)
      throw refused(peer, `its ticket for restore ${restoreId} is for longer than any restore may take`);
  }
}

/** The clocks of coordinator and nodes may differ by this. Milliseconds. */
const CLOCKS_APART_MS = 60 * 60_000;

function refused(peer: Peer, why: string): SwarmcutError {
  return new SwarmcutError('precondition', `${peerText(peer)} may not fetch this: ${why}`, {
    advice:
      'a node fetches only what a restore assigns to it; are the clocks of the nodes right, and all certificates of one authority?',
  });
}

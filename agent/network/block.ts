import { SwarmcutError, messageOf } from '../../src/model/errors.ts';
import { replaceElements, type SetElement } from '../linux/set-elements.ts';
import { SystemCallError } from '../linux/sys.ts';
import { TABLE } from './rules.ts';

/**
 * The block's two sets (rules.ts), whose rules must be there: while a set has elements, its direction is blocked. Written without nft, for
 * this is done while a task stands still.
 */
const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;

function blocked(timeoutMs: number): SetElement[] {
  return [NFPROTO_IPV4, NFPROTO_IPV6].map((family) => ({ key: Buffer.from([family]), timeoutMs }));
}

/** @returns false if the rules are not there @throws SwarmcutError `failed` */
export function block(netns: string, timeoutMs: number): Promise<boolean> {
  return replaced(netns, { blocked_out: blocked(timeoutMs), blocked_in: blocked(timeoutMs) });
}

/** @returns false if the rules are not there, so that nothing is blocked @throws SwarmcutError `failed` */
export function unblock(netns: string): Promise<boolean> {
  return replaced(netns, { blocked_out: [], blocked_in: [] });
}

/** Lets everything in at once, and everything out after `delayMs`. @returns false if the rules are not there @throws SwarmcutError `failed` */
export function openInwards(netns: string, delayMs: number): Promise<boolean> {
  return replaced(netns, { blocked_out: blocked(delayMs), blocked_in: [] });
}

function replaced(netns: string, contents: Record<string, SetElement[]>): Promise<boolean> {
  try {
    replaceElements(netns, TABLE, contents);
    return Promise.resolve(true);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'ENOENT') return Promise.resolve(false);
    const reason = `the block in ${netns} cannot be changed: ${messageOf(error)}`;
    return Promise.reject(new SwarmcutError('failed', reason, { cause: error }));
  }
}

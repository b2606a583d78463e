import { SwarmcutError, messageOf } from '../../../src/model/errors.ts';
import type { Emit } from './events.ts';

/**
 * Runs an operation between its first and its last event.
 * @param title what is being done, for people: `snapshot of bank`
 */
export async function operate<Result>(emit: Emit, title: string, act: () => Promise<Result>): Promise<Result> {
  emit({ kind: 'operation-begun', title });
  try {
    const result = await act();
    emit({ kind: 'operation-ended', title });
    return result;
  } catch (error) {
    const code = error instanceof SwarmcutError ? error.code : 'internal';
    emit({ kind: 'operation-ended', title, error: { code, message: messageOf(error) } });
    throw error;
  }
}

import { EXIT_CODES, SwarmcutError, messageOf } from '../../model/errors.ts';
import type { ErrorCode, ErrorPlace } from '../../model/errors.ts';
import { field, optionalField } from './fields.ts';

/** An error as it crosses between agent and sidecar. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly where: ErrorPlace;
  readonly advice?: string;
}

/** Anything that was thrown; what says no code has `failed`. */
export function toWire(error: unknown): WireError {
  if (!(error instanceof SwarmcutError)) return { code: 'failed', message: messageOf(error), where: {} };
  const { code, message, where, advice } = error;
  return { code, message, where, ...(advice !== undefined && { advice }) };
}

/** @param wire what {@link toWire} has made, or the words alone: a sidecar may be of an earlier version than its agent */
export function fromWire(wire: unknown): SwarmcutError {
  if (typeof wire === 'string') return new SwarmcutError('failed', wire);
  const code = field(wire, 'code', 'string');
  const advice = optionalField(wire, 'advice', 'string');
  return new SwarmcutError(
    Object.hasOwn(EXIT_CODES, code) ? (code as ErrorCode) : 'failed',
    field(wire, 'message', 'string'),
    {
      where: optionalField(wire, 'where', 'object') ?? {},
      ...(advice !== undefined && { advice }),
    },
  );
}

import { Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { z } from 'zod';
import { EXIT_CODES, SwarmcutError, messageOf } from '../model/errors.ts';
import type { ErrorCode, ErrorPlace } from '../model/errors.ts';

/** Carries the whole error: gRPC's own code and message cannot say where, and what to do. Binary, so any text survives. */
const TRAILER = 'swarmcut-error-bin';

/** A CRIU log's tail may be long; HTTP/2 headers may not. Characters. */
const MESSAGE_LIMIT = 6_000;

const STATUS_OF: Readonly<Record<ErrorCode, status>> = {
  usage: status.INVALID_ARGUMENT,
  'not-found': status.NOT_FOUND,
  conflict: status.ALREADY_EXISTS,
  unreachable: status.UNAVAILABLE,
  precondition: status.FAILED_PRECONDITION,
  damaged: status.DATA_LOSS,
  failed: status.INTERNAL,
  interrupted: status.ABORTED,
  internal: status.UNKNOWN,
};

const wireSchema = z.object({
  code: z.enum(Object.keys(EXIT_CODES) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  where: z.record(z.string(), z.union([z.string(), z.number()])),
  advice: z.string().optional(),
});

/** What a server answers with when a handler threw. */
export function toStatus(error: unknown): { code: status; details: string; metadata: Metadata } {
  const known = error instanceof SwarmcutError ? error : new SwarmcutError('internal', messageOf(error));
  const message = shorten(known.message);
  const metadata = new Metadata();
  metadata.set(
    TRAILER,
    Buffer.from(JSON.stringify({ code: known.code, message, where: known.where, advice: known.advice })),
  );
  return { code: STATUS_OF[known.code], details: shorten(message, 500), metadata };
}

/** Keeps the beginning (what failed) and the end (a log's last lines say why). */
function shorten(text: string, limit = MESSAGE_LIMIT): string {
  if (text.length <= limit) return text;
  const half = Math.floor(limit / 2) - 2;
  return `${text.slice(0, half)} … ${text.slice(-half)}`;
}

/** Where a call went: for the error's text. */
export interface CallPlace {
  readonly node: string;
  readonly address: string;
  readonly method: string;
  readonly deadlineMs: number;
}

/** What a client throws for a failed call. Always names the node; names the method where the agent itself said nothing. */
export function fromServiceError(error: ServiceError, place: CallPlace): SwarmcutError {
  return remoteError(error, place) ?? transportError(error, place);
}

function remoteError(error: ServiceError, place: CallPlace): SwarmcutError | undefined {
  const [trailer] = (error.metadata as Metadata | undefined)?.get(TRAILER) ?? [];
  if (trailer === undefined) return undefined;
  let parsed;
  try {
    parsed = wireSchema.safeParse(JSON.parse(trailer.toString()));
  } catch {
    return undefined;
  }
  if (!parsed.success) return undefined;
  const { code, message, where, advice } = parsed.data;
  return new SwarmcutError(code, message, {
    where: { node: place.node, ...(where as ErrorPlace) },
    ...(advice === undefined ? {} : { advice }),
    cause: error,
  });
}

function transportError(error: ServiceError, place: CallPlace): SwarmcutError {
  const { node, address, method } = place;
  const make = (code: ErrorCode, message: string, advice?: string): SwarmcutError =>
    new SwarmcutError(code, message, { where: { node }, cause: error, ...(advice === undefined ? {} : { advice }) });
  const agent = `the agent of node ${node} (${address})`;
  switch (error.code) {
    case status.UNAVAILABLE:
      if (/certificate|altnames|self.signed|issuer|SSL|TLS|alert/i.test(error.details)) {
        return make(
          'unreachable',
          `${agent} cannot be trusted, or does not trust us, at ${method}: ${error.details}`,
          `Issue its certificate again (\`coordinator ca issue ${node}\`) and see that both sides have the same ca.crt.`,
        );
      }
      return make(
        'unreachable',
        `${agent} cannot be reached for ${method}: ${innermost(error.details)}`,
        `See on the node: \`systemctl status swarmcut-agent\`, \`journalctl -u swarmcut-agent\`, and that the port is open.`,
      );
    case status.CANCELLED:
      return make('interrupted', `${method} on node ${node} was interrupted`);
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return make('precondition', `${agent} refuses ${method}: ${error.details}`);
    case status.UNIMPLEMENTED:
      return make(
        'precondition',
        `${agent} does not know ${method}`,
        'Agent and coordinator are of different versions: install the same one everywhere.',
      );
    case status.NOT_FOUND:
      return make('not-found', error.details);
    case status.FAILED_PRECONDITION:
    case status.RESOURCE_EXHAUSTED:
      return make('precondition', `${method} on node ${node}: ${error.details}`);
    case status.ABORTED:
      return make('interrupted', error.details);
    default:
      return make('failed', `${method} on node ${node} failed: ${error.details}`);
  }
}

/** What the system said, without the load balancer's words around it. Another text is given as it is. */
function innermost(details: string): string {
  const said = /^No connection established\. Last error: (?:Error: )?(.*?)\. Resolution note: .*$/s.exec(details);
  return said?.[1] ?? details;
}

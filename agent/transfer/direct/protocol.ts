import { z } from 'zod';
import { endpointOf, type Endpoint } from '../../../src/model/connection.ts';
import { EXIT_CODES, type ErrorCode } from '../../../src/model/errors.ts';

/** The port for parts is so much above that of the agent; the one between them is the coordinator's, for nodes that join. */
const PORT_OFFSET = 2;

/** On which port an agent sends parts. @param agentPort where it is called */
export function transferPort(agentPort: number): number {
  return agentPort + PORT_OFFSET;
}

/** Where an agent sends parts, by the address (`host:port`, IPv6 in brackets) at which it is called. */
export function transferEndpoint(agentAddress: string): Endpoint {
  const { address, port } = endpointOf(agentAddress);
  return { address, port: transferPort(port) };
}

const SHA256 = z.string().regex(/^[0-9a-f]{64}$/);

/** What is asked for: src/formats/part-frames.ts. */
export const requestHeadSchema = z.strictObject({
  version: z.literal(1),
  /** `from`: where to begin, in bytes: what was there when a connection broke is not sent again. */
  parts: z.array(z.strictObject({ sha256: SHA256, from: z.number().int().min(0) })).max(100_000),
  /** The coordinator's word that this node may have them, as in proto/agent.proto; bytes in base 64. */
  ticket: z.strictObject({ grant: z.base64(), signature: z.base64(), certificate: z.string() }).nullable(),
});
export type RequestHead = z.infer<typeof requestHeadSchema>;

/** Of one part, or of an error in its place. */
export const answerHeadSchema = z.union([
  /** `length`: of the part from the place that was asked for to its end. */
  z.strictObject({ sha256: SHA256, length: z.number().int().min(0) }),
  z.strictObject({
    error: z.strictObject({
      code: z.enum(Object.keys(EXIT_CODES) as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      advice: z.string().optional(),
    }),
  }),
]);
export type AnswerHead = z.infer<typeof answerHeadSchema>;

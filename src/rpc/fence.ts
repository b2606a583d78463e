import { Metadata } from '@grpc/grpc-js';
import { z } from 'zod';
import { SwarmcutError } from '../model/errors.ts';

/**
 * Under which lock an order is given. Coordinators of a stack have its lock one after another, each with a higher token; whoever has heard of one
 * takes no orders from those before it, however late they come (Kleppmann 2016, "fencing token").
 */
export interface Fence {
  readonly stack: string;
  /** Tokens of different clusters have nothing to do with each other. */
  readonly cluster: string;
  readonly token: number;
}

/** Binary, so that any text survives. */
const HEADER = 'swarmcut-fence-bin';

const fenceSchema = z.object({ stack: z.string(), cluster: z.string(), token: z.number() });

/** What goes with a call. @param fence undefined for what concerns no stack, or changes nothing */
export function fenceMetadata(fence: Fence | undefined): Metadata {
  const metadata = new Metadata();
  if (fence !== undefined) metadata.set(HEADER, Buffer.from(JSON.stringify(fence)));
  return metadata;
}

/** Under which lock a call was made. @throws SwarmcutError `usage` for what cannot be understood */
export function fenceOf(metadata: Metadata): Fence | undefined {
  const [value] = metadata.get(HEADER);
  if (value === undefined) return undefined;
  try {
    return fenceSchema.parse(JSON.parse(value.toString()));
  } catch (cause) {
    throw new SwarmcutError('usage', 'the call says in no way that is understood under which lock it is made', {
      cause,
    });
  }
}

import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmcutError } from '../../src/model/errors.ts';

const SECRET_BYTES = 32;

/**
 * The key by which the sidecars of a stack know each other: HMAC-SHA256 over the stack's name with the secret that `coordinator ca issue` gave
 * to every node. So it need not be handed out when a sidecar is attached, and the sidecars of one stack are no peers of those of another.
 * @param configDir with `agent/stack.key`
 * @throws SwarmcutError `precondition` when the node has no such secret
 */
export async function stackKey(configDir: string, stack: string): Promise<Buffer> {
  const file = join(configDir, 'agent', 'stack.key');
  const secret = await readFile(file).catch((error: unknown) => {
    throw new SwarmcutError('precondition', 'this node has no key for sidecars', {
      where: { file },
      advice:
        'issue its certificate again (`coordinator ca issue <node>`) and copy stack.key to the node with the rest',
      cause: error,
    });
  });
  if (secret.length !== SECRET_BYTES)
    throw new SwarmcutError('damaged', `the key has ${secret.length} bytes instead of ${SECRET_BYTES}`, {
      where: { file },
      advice: 'issue the certificates of all nodes again',
    });
  return createHmac('sha256', secret).update(`swarmcut stack ${stack}`).digest();
}

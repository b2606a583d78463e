import type { AgentImplementation } from '../../src/rpc/index.ts';

/** An implementation of which a test says only what it needs: everything else fails. */
export function implementation(part: Partial<AgentImplementation>): AgentImplementation {
  return new Proxy(part as AgentImplementation, {
    get: (target, name: keyof AgentImplementation) =>
      Object.hasOwn(target, name)
        ? target[name]
        : () => {
            throw new Error(`${name} was not to be called`);
          },
  });
}

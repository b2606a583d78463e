import { readFileSync } from 'node:fs';

/** Numbers of capabilities (linux/capability.h). */
export const CAPABILITIES = { sysResource: 24 } as const;

/** Whether this process has a capability now, as do the programs that it starts. False where that cannot be read. */
export function hasCapability(number: number, statusFile = '/proc/self/status'): boolean {
  let status = '';
  try {
    status = readFileSync(statusFile, 'utf8');
  } catch {
    return false;
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> BigInt(number)) & 1n) === 1n;
}

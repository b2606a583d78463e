import type { Listener } from '../../operations/index.ts';
import { jsonLines } from './json-lines.ts';
import type { ProgressKind } from './kinds.ts';
import { liveRows } from './live-rows.ts';
import { plainLines } from './plain-lines.ts';

/**
 * Whoever shows an operation's events. `auto`: live rows where somebody looks, plain lines otherwise, nothing with `--json`, since stderr is then
 * for the error alone.
 */
export function displaysOf(kind: ProgressKind, options: { readonly json: boolean }): Listener[] {
  const line = (text: string): void => void process.stderr.write(`${text}\n`);
  switch (kind) {
    case 'auto':
      if (options.json) return [];
      return displaysOf(
        process.stdout.isTTY && process.stderr.isTTY && process.env.TERM !== 'dumb' ? 'live' : 'plain',
        options,
      );
    case 'live':
      return [liveRows()];
    case 'plain':
      return [plainLines(line, () => performance.now())];
    case 'json':
      return [jsonLines(line, () => new Date())];
    case 'none':
      return [];
  }
}

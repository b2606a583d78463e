import { createReadStream } from 'node:fs';
import { text as textOf } from 'node:stream/consumers';
import { Command } from 'commander';
import { PROXY_ALGORITHMS, algorithms } from '../../../src/algorithms/index.ts';
import type { Finding } from '../../../src/config/compose-lint.ts';
import { EXIT_CODES, SwarmcutError } from '../../../src/model/errors.ts';
import { visible } from '../../../src/model/visible.ts';
import { globalOptionsOf } from '../options.ts';
import { paint, say, sayJson } from '../output/output.ts';

/** `coordinator lint <compose.yml…>`. */
export function lintCommand(): Command {
  return new Command('lint')
    .description('check the swarmcut labels in compose files')
    .argument('<files...>', 'compose files')
    .addHelpText(
      'after',
      `
Exit code 2 when something is wrong; warnings do not count. Files may have up to 1 MiB; of more than 1000 findings in a file, the first are told. Labels: swarmcut.algorithm, swarmcut.external, swarmcut.freeze-timeout.

Examples:
  coordinator lint docker-compose.yml
  coordinator lint examples/*/compose.yml --json`,
    )
    .action(async (files: string[], _options: unknown, command: Command) => {
      const { json } = globalOptionsOf(command);
      const { LINT_LIMITS, lintCompose } = await import('../../../src/config/compose-lint.ts');
      const found: (Finding & { file: string })[] = [];
      for (const file of files) {
        const findings = lintCompose(await read(file, LINT_LIMITS.bytes), {
          algorithms: Object.keys(algorithms),
          proxied: PROXY_ALGORITHMS,
        });
        found.push(...findings.map((finding) => ({ file, ...finding })));
      }
      if (json) sayJson(found);
      else if (found.length === 0)
        say(files.length === 1 ? 'nothing is wrong' : `nothing is wrong in ${files.length} files`);
      else say(found.map(text).join('\n'));
      if (found.some(({ warning }) => warning !== true)) process.exitCode = EXIT_CODES.usage;
    });
}

async function read(file: string, limitBytes: number): Promise<string> {
  let contents: string;
  try {
    // Also of a file that has no end (a pipe, a device) no more than this is read.
    contents = await textOf(createReadStream(file, { end: limitBytes }));
  } catch (cause) {
    throw new SwarmcutError('usage', 'the compose file cannot be read', { where: { file }, cause });
  }
  if (Buffer.byteLength(contents) <= limitBytes) return contents;
  throw new SwarmcutError('usage', `the compose file is longer than ${limitBytes / 2 ** 20} MiB`, { where: { file } });
}

/** `file:line:column: service x: message`, as editors understand it. */
function text(finding: Finding & { file: string }): string {
  const service = finding.service === undefined ? '' : `service ${visible(finding.service)}: `;
  const advice = finding.advice === undefined ? '' : `\n    → ${finding.advice}`;
  const what =
    finding.warning === true
      ? paint('yellow', `warning: ${service}${finding.message}`)
      : paint('red', `${service}${finding.message}`);
  return `${finding.file}:${finding.line}:${finding.column}: ${what}${advice}`;
}

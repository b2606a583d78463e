import { Command } from 'commander';
import { DONE, RESUME_AFTER } from './start.ts';

/**
 * `coordinator resume-after <stack>`, not for people: waits until the process that has started it has ended, and finishes what that one has
 * left of an operation on the stack (start.ts).
 */
export function resumeAfterCommand(): Command {
  return new Command(RESUME_AFTER)
    .description('finishes what the parent process leaves of an operation')
    .argument('<stack>')
    .action(async (stack: string, _options: object, command: Command) => {
      if ((await said(process.stdin)) === DONE) return;
      const [{ resumeStack }, { runOperation }] = await Promise.all([
        import('../../operations/index.ts'),
        import('../context.ts'),
      ]);
      await runOperation(command, `recovery of ${stack}`, (ctx) => resumeStack(ctx, stack));
    });
}

async function said(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

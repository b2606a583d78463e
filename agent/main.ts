#!/usr/bin/env node
import type { Command } from 'commander';

/**
 * `agent shim …` is called by the engine for each container that may have to be restored, so that it must start fast: nothing is loaded
 * for it but its own few files.
 */
const [verb, ...rest] = process.argv.slice(2);
if (verb === 'shim') {
  const [{ runShimClient }, { DEFAULT_DIRECTORIES }] = await Promise.all([
    import('./runtime/shim/client.ts'),
    import('../src/model/paths.ts'),
  ]);
  process.exitCode = await runShimClient(rest, DEFAULT_DIRECTORIES);
} else {
  const { agentProgram } = await import('./cli.ts');
  const program: Command = agentProgram();
  const { reportAgentError } = await import('./cli.ts');
  await program.parseAsync(process.argv).catch(reportAgentError);
}

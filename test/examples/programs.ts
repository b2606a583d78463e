/** Runs the examples as the image does: as JavaScript, each program its own process, on loopback addresses of its own. */
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import ts from 'typescript';

const EXAMPLES = new URL('../../examples/', import.meta.url);
const FOLDERS = ['bank', 'pair', 'redis'];

function launch(script: string, args: string[], env: Record<string, string>) {
  return execa(process.execPath, [script, ...args], { env, reject: false });
}

/** The compiled examples in a folder of their own, where only node's built-ins can be imported. */
export class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), 'swarmcut-examples-'));
  /** First three bytes of this instance's loopback addresses: tests that run at once do not meet. */
  private readonly net = `127.${1 + (process.pid % 250)}.${1 + Math.floor(Math.random() * 250)}`;
  private readonly running: ReturnType<typeof launch>[] = [];

  constructor() {
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}');
    for (const name of FOLDERS) {
      const files = readdirSync(new URL(`${name}/`, EXAMPLES), { recursive: true, encoding: 'utf8' });
      for (const file of files.filter((entry) => entry.endsWith('.ts'))) {
        const { outputText } = ts.transpileModule(readFileSync(new URL(`${name}/${file}`, EXAMPLES), 'utf8'), {
          compilerOptions: {
            target: ts.ScriptTarget.ES2023,
            module: ts.ModuleKind.ESNext,
            verbatimModuleSyntax: true,
            rewriteRelativeImportExtensions: true,
          },
        });
        const compiled = join(this.folder, name, file.replace(/\.ts$/, '.js'));
        mkdirSync(dirname(compiled), { recursive: true });
        writeFileSync(compiled, outputText);
      }
    }
  }

  address(host: number): string {
    return `${this.net}.${host}`;
  }

  /** Starts a program that runs until the end of the test. */
  start(program: string, env: Record<string, string>): void {
    this.running.push(launch(join(this.folder, program), [], env));
  }

  /** Runs a program to its end; its exit code is not judged. */
  async run(
    program: string,
    args: string[],
    env: Record<string, string>,
  ): Promise<{ code: number | undefined; stdout: string; stderr: string }> {
    const { exitCode, stdout, stderr } = await launch(join(this.folder, program), args, env);
    return { code: exitCode, stdout, stderr };
  }

  /** Kills the program that was started as number `index`, without a chance to say anything. */
  async kill(index: number): Promise<void> {
    this.running[index]?.kill('SIGKILL');
    await this.running[index];
  }

  /** Ends the programs started so far and waits until they are gone. */
  async stop(): Promise<void> {
    const children = this.running.splice(0);
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children);
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

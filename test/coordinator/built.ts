/** The coordinator as JavaScript in a folder of its own, to be run as the process that users run. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import ts from 'typescript';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['src', 'coordinator', 'examples/testbed'];

/** Everything a run wrote, and its exit code. */
export interface Run {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export class BuiltCoordinator {
  readonly folder = mkdtempSync(join(tmpdir(), 'swarmcut-cli-'));

  constructor() {
    for (const name of ['node_modules', 'package.json', 'proto'])
      symlinkSync(join(REPOSITORY, name), join(this.folder, name));
    for (const folder of FOLDERS) {
      for (const entry of readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })) {
        if (entry.endsWith('.ts')) this.add(join(folder, entry), readFileSync(join(REPOSITORY, folder, entry), 'utf8'));
      }
    }
  }

  /** Puts one TypeScript module into the tree, e.g. a script that uses internals in a process of its own. */
  add(path: string, source: string): string {
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const file = join(this.folder, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, outputText);
    return file;
  }

  /** State, run and config directories of a coordinator that knows nothing yet. */
  get directories(): string[] {
    const at = (name: string): string => join(this.folder, 'dirs', name);
    return ['--state-dir', at('state'), '--run-dir', at('run'), '--config-dir', at('config')];
  }

  async run(...args: string[]): Promise<Run> {
    const { exitCode, stdout, stderr } = await this.start(join(this.folder, 'coordinator/main.js'), ...args);
    return { code: exitCode, stdout, stderr };
  }

  /** Starts any script of the tree. */
  start(script: string, ...args: string[]) {
    return execa(process.execPath, [script, ...args], { reject: false, env: { NO_COLOR: '1' } });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

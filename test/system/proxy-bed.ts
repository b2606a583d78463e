import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { ProxyInterceptor } from '../../agent/interceptors/proxy/interceptor.ts';
import { socketsOf } from '../../agent/interceptors/proxy/listening.ts';
import { Bed } from './kernel-bed.ts';
import type { Program } from './kernel-bed.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['src/algorithms', 'src/model', 'src/wire', 'src/runtime', 'agent/interceptors'];

/** Namespaces on one bridge, each with a sidecar: the "stack" of these tests. */
export class ProxyBed {
  readonly bed: Bed;
  readonly folder = mkdtempSync(join(tmpdir(), 'swarmcut-proxy-'));
  readonly key = randomBytes(32);
  readonly crashes: string[] = [];
  readonly interceptors = new Map<string, ProxyInterceptor>();
  readonly #addresses: Readonly<Record<string, string>>;

  private constructor(bed: Bed, addresses: Readonly<Record<string, string>>) {
    this.bed = bed;
    this.#addresses = addresses;
    symlinkSync(join(REPOSITORY, 'node_modules'), join(this.folder, 'node_modules'));
    writeFileSync(join(this.folder, 'package.json'), '{"type":"module"}');
    for (const folder of FOLDERS) this.#compile(folder);
  }

  /** @param tasks name → IPv4 address */
  static async make(tasks: Readonly<Record<string, string>>): Promise<ProxyBed> {
    const networks = Object.fromEntries(Object.entries(tasks).map(([task, address]) => [task, `${address}/24`]));
    return new ProxyBed(await Bed.make(networks), tasks);
  }

  address(task: string): string {
    return this.#addresses[task] ?? '';
  }

  interceptor(task: string): ProxyInterceptor {
    const interceptor = this.interceptors.get(task);
    if (!interceptor) throw new Error(`${task} has no sidecar`);
    return interceptor;
  }

  async attach(...tasks: string[]): Promise<void> {
    for (const task of tasks) {
      const interceptor = new ProxyInterceptor({
        netns: this.bed.netns(task),
        task,
        key: this.key,
        epoch: 0,
        socket: join(this.folder, `${task}.sock`),
        logFile: join(this.folder, `${task}.log`),
        main: join(this.folder, 'agent/interceptors/proxy/main.js'),
        onCrash: (reason) => this.crashes.push(`${task}: ${reason}`),
      });
      this.interceptors.set(task, interceptor);
      await interceptor.attach();
    }
  }

  /** Tells every sidecar of the others, and of what listens in them, as the agents would. */
  async feed(programs: Readonly<Record<string, Program>>): Promise<void> {
    const found = await Promise.all(
      Object.entries(programs).map(([task, program]) => socketsOf(program.pid, [this.address(task)])),
    );
    const listening = found.flatMap((sockets) => sockets.listening);
    for (const [task, interceptor] of this.interceptors)
      await interceptor.setSets({
        peers: [...this.interceptors.keys()].filter((other) => other !== task).map((other) => this.address(other)),
        listening,
      });
  }

  log(task: string): string {
    return readFileSync(join(this.folder, `${task}.log`), 'utf8');
  }

  async close(): Promise<void> {
    for (const interceptor of this.interceptors.values()) await interceptor.detach();
    await this.bed.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The sidecar is a process of its own, so it must be JavaScript; made here, for `dist` may be older than the source. */
  #compile(folder: string): void {
    for (const entry of readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(join(REPOSITORY, folder, entry), 'utf8'), {
        compilerOptions: {
          target: ts.ScriptTarget.ES2023,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          rewriteRelativeImportExtensions: true,
        },
      });
      const file = join(this.folder, folder, entry.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, outputText);
    }
  }
}

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, vi } from 'vitest';
import { ProxyInterceptor } from '../../../agent/sidecars/interceptor.ts';
import type { ArgumentsOf, ResultOf } from '../../../src/rpc/control/method.ts';
import type { SidecarMethods, SidecarStatus } from '../../../src/rpc/control/methods.ts';
import type { SidecarRestore } from '../../../src/rpc/control/start-config.ts';
import { PROXY_TABLE } from '../../../agent/linux/proxy-table.ts';
import type { NetworkView } from '../../../src/rpc/control/network-view.ts';
import { Bed } from '../network/kernel-bed.ts';
import type { Program } from '../network/kernel-bed.ts';

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
/** No measure of speed: a machine may have twenty programs to run on two processors. */
const LONG = { timeout: 60_000 };
const FOLDERS = ['src', 'agent/sidecar', 'agent/linux'];

/** Namespaces on one bridge, each with a sidecar: the "stack" of these tests. */
export class ProxyBed {
  readonly bed: Bed;
  readonly folder = mkdtempSync(join(tmpdir(), 'swarmcut-proxy-'));
  readonly key = randomBytes(32);
  readonly crashes: string[] = [];
  readonly interceptors = new Map<string, ProxyInterceptor>();
  readonly #addresses: Readonly<Record<string, string>>;
  readonly #main: string;

  private constructor(bed: Bed, addresses: Readonly<Record<string, string>>) {
    this.bed = bed;
    this.#addresses = addresses;
    this.#main = compileSidecar(this.folder);
  }

  /** @param tasks name → IPv4 address */
  static async make(tasks: Readonly<Record<string, string>>): Promise<ProxyBed> {
    const networks = Object.fromEntries(Object.entries(tasks).map(([task, address]) => [task, `${address}/24`]));
    return new ProxyBed(await Bed.make(networks), tasks);
  }

  address(task: string): string {
    return this.#addresses[task] ?? '';
  }

  /** All namespaces are in it. CIDR. */
  get subnet(): string {
    return `${(Object.values(this.#addresses)[0] ?? '').replace(/\d+$/, '0')}/24`;
  }

  interceptor(task: string): ProxyInterceptor {
    const interceptor = this.interceptors.get(task);
    if (!interceptor) throw new Error(`${task} has no sidecar`);
    return interceptor;
  }

  async attach(...tasks: string[]): Promise<void> {
    for (const task of tasks) await this.attachOne(task);
  }

  /** @param restore for a task that comes back */
  async attachOne(
    task: string,
    epoch = 0,
    restore?: SidecarRestore,
    previousAddresses: readonly string[] = [],
  ): Promise<void> {
    const interceptor = new ProxyInterceptor({
      netns: this.bed.netns(task),
      task,
      key: this.key,
      epoch,
      socket: join(this.folder, `${task}.sock`),
      logFile: join(this.folder, `${task}.log`),
      subnets: [this.subnet],
      own: [{ address: this.address(task), network: 'bed' }],
      previousAddresses,
      main: this.#main,
      onCrash: (reason) => this.crashes.push(`${task}: ${reason}`),
    });
    this.interceptors.set(task, interceptor);
    await interceptor.attach(restore);
  }

  /** The task and its sidecar are gone, as if its node had died. */
  async remove(task: string): Promise<void> {
    await this.interceptor(task).detach();
    this.interceptors.delete(task);
    await this.bed.remove(task);
  }

  /** What an agent would know of these namespaces. */
  view(vips: NetworkView['vips'] = []): NetworkView {
    const tasks = Object.entries(this.#addresses).map(([service, address]) => ({ address, service, own: true }));
    return { subnets: [this.subnet], tasks, vips, nonPeers: [] };
  }

  /** Tells the sidecars of all tasks, as their agents would, and waits until those with a sidecar are linked. */
  async introduce(view = this.view(), tasks: readonly string[] = [...this.interceptors.keys()]): Promise<void> {
    await Promise.all(tasks.map((task) => this.call(task, 'networkView', view)));
    for (const task of this.interceptors.keys()) {
      const others = [...this.interceptors.keys()]
        .filter((other) => other !== task)
        .map((other) => this.address(other));
      await vi.waitFor(async () => expect((await this.status(task)).peers.toSorted()).toEqual(others.toSorted()), LONG);
    }
  }

  /** {@link introduce}, and waits until all sidecars know of these programs, which listen. */
  async feed(programs: Readonly<Record<string, Program>>): Promise<void> {
    await this.introduce();
    for (const server of Object.keys(programs))
      for (const task of this.interceptors.keys())
        if (task !== server)
          await vi.waitFor(async () => expect(await this.set(task, 'listening')).toContain(this.address(server)), LONG);
  }

  async call<K extends keyof SidecarMethods>(
    task: string,
    method: K,
    ...params: ArgumentsOf<SidecarMethods[K]>
  ): Promise<ResultOf<SidecarMethods[K]>> {
    const control = await this.interceptor(task).control();
    try {
      return await control.call(method, ...params);
    } finally {
      control.close();
    }
  }

  async status(task: string): Promise<SidecarStatus> {
    return await this.call(task, 'status');
  }

  /** The elements of a set of the proxy's rules, as nft prints them. */
  async set(task: string, name: string): Promise<string> {
    const text = await this.bed.run(task, ['nft', 'list', 'set', ...PROXY_TABLE.split(' '), name]);
    return /elements = \{([^}]*)\}/s.exec(text)?.[1]?.replaceAll(/\s+/g, ' ').trim() ?? '';
  }

  log(task: string): string {
    return readFileSync(join(this.folder, `${task}.log`), 'utf8');
  }

  async close(): Promise<void> {
    for (const interceptor of this.interceptors.values()) await interceptor.detach();
    await this.bed.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * The sidecar is a process of its own, so it must be JavaScript; made here, for `dist` may be older than the source.
 * @param folder gets it
 * @returns the compiled main.js
 */
export function compileSidecar(folder: string): string {
  symlinkSync(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const source of FOLDERS) {
    for (const entry of readdirSync(join(REPOSITORY, source), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      const { outputText } = ts.transpileModule(readFileSync(join(REPOSITORY, source, entry), 'utf8'), {
        compilerOptions: {
          target: ts.ScriptTarget.ES2023,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
          rewriteRelativeImportExtensions: true,
        },
      });
      const file = join(folder, source, entry.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, outputText);
    }
  }
  return join(folder, 'agent/sidecar/main.js');
}

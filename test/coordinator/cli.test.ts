import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { streamEnd } from '../model/streams.ts';
import { hashedCatalogue, manifestOf, taskOf } from '../storage/manifest.ts';
import { BuiltCoordinator } from './built.ts';

// Each run is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let built: BuiltCoordinator;
let state: string;

beforeAll(() => {
  built = new BuiltCoordinator();
  state = join(built.folder, 'dirs', 'state');
});
afterAll(() => built.remove());
beforeEach(() => rmSync(join(built.folder, 'dirs'), { recursive: true, force: true }));

const run = (...args: string[]) => built.run(...built.directories, ...args);

async function add(id: string, stack: string, committedAt = '2026-11-22T10:00:01.000Z'): Promise<void> {
  await hashedCatalogue(state).write(manifestOf({ id, stack, committedAt }));
}

describe('usage', () => {
  test('help names every verb and ends well', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const verb of 'snapshot restore migrate list inspect verify rm attach detach check lint testbed ca'.split(
      ' ',
    )) {
      expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
    }
  });

  test('each verb has help with an example', async () => {
    const verbs = [
      'snapshot',
      'restore',
      'migrate',
      'list',
      'inspect',
      'verify',
      'rm',
      'attach',
      'detach',
      'check',
      'lint',
    ];
    for (const verb of verbs) {
      const { code, stdout } = await run(verb, '--help');
      expect({ verb, code, example: stdout.includes(`coordinator ${verb}`) }).toEqual({ verb, code: 0, example: true });
    }
  });

  test('the version is that of package.json', async () => {
    const { version } = JSON.parse(readFileSync(join(built.folder, 'package.json'), 'utf8')) as { version: string };
    expect(await run('--version')).toEqual({ code: 0, stdout: version, stderr: '' });
  });

  test.each([
    [['snapshot']],
    [['snapsht', 'bank']],
    [['snapshot', 'bank', '--algorithm', 'paxos']],
    [['list', '--nope']],
  ])('%j is a wrong command line: 2', async (args) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });

  test.each([
    [['snapshot', 'bank', '--freeze-timeout', '30']],
    [['restore', 'latest', '--timeout', '30']],
    [['migrate', 'bank', '--timeout', '30']],
    [['rm', '--older-than', '30']],
    [['simulate', '--duration', '30']],
  ])('%j: a duration without a unit is refused with a hint', async (args) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/did you mean 30s or 30ms\?/i);
  });

  test('simulate takes durations with units', async () => {
    const args = ['simulate', '-a', 'sync', '-n', '2', '--degree', '2', '--interval', '20ms', '--duration', '0.1s'];
    expect(await run(...args)).toMatchObject({ code: 0 });
  });

  test('a wrong command line is told as JSON too', async () => {
    const { code, stderr } = await run('snapshot', '--json');
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({
      error: { code: 'usage', exitCode: 2, message: "missing required argument 'stack'" },
    });
  });
});

describe('errors', () => {
  test('say what, and what to do; nothing goes to stdout', async () => {
    await add('2rg8000000', 'bank');
    const { code, stdout, stderr } = await run('inspect', '2rg8000001');
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr.split('\n').slice(-2)).toEqual([
      'coordinator: there is no snapshot "2rg8000001"',
      '          → did you mean 2rg8000000? `coordinator list` shows all',
    ]);
  });

  test('as JSON: code, place and advice', async () => {
    await add('2rg8000000', 'bank');
    const file = hashedCatalogue(state).manifestPath('2rg8000000');
    writeFileSync(file, '{}');
    const { code, stderr } = await run('--json', 'restore', 'latest');
    expect(code).toBe(7);
    expect(JSON.parse(stderr)).toMatchObject({
      error: {
        code: 'damaged',
        exitCode: 7,
        where: { file },
        advice: expect.stringContaining('coordinator rm') as string,
      },
    });
  });

  test('an engine that is not there: 5', async () => {
    const { code, stderr } = await run('snapshot', 'bank', '--docker-socket', join(built.folder, 'no.sock'));
    expect(stderr).toContain('no.sock');
    expect(code).toBe(5);
    expect(existsSync(join(state, 'log', 'coordinator.log'))).toBe(true);
  });
});

describe('text from outside', () => {
  test('reaches the terminal without its control bytes, and JSON as the same JSON', async () => {
    const manifest = manifestOf({ algorithm: 'ba\u001b]0;title\u0007nk\u009b2J' });
    await hashedCatalogue(state).write({
      ...manifest,
      tasks: manifest.tasks.map((task) => ({ ...task, notes: ['\r\u001b[1A'] })),
    });
    for (const args of [['list'], ['inspect', 'latest'], ['list', 'other'], ['inspect', 'latest:other']]) {
      const { stdout, stderr } = await run(...args);
      expect(stdout + stderr).not.toMatch(/[^\n\P{Cc}]/u);
    }
    expect((await run('list')).stdout).toContain('ba\\x1b]0;title\\x07nk\\x9b2J');
    const { stdout } = await run('inspect', 'latest', '--json');
    expect(stdout).not.toMatch(/[^\n\P{Cc}]/u);
    expect(JSON.parse(stdout)).toMatchObject({ algorithm: manifest.algorithm });
  });

  test('a path of a part that no file can have makes the snapshot a damaged one: 7', async () => {
    const manifest = manifestOf();
    await hashedCatalogue(state).write(manifest);
    const file = hashedCatalogue(state).manifestPath(manifest.id);
    writeFileSync(file, readFileSync(file, 'utf8').replace('pages-1.img', 'pages\\u0000.img'));
    const { code, stderr } = await run('inspect', 'latest');
    expect(code).toBe(7);
    expect(stderr).toContain('field tasks.0.parts.0.path');
  });
});

describe('list and inspect', () => {
  test('list shows newest first, filtered by stack, as table and as JSON', async () => {
    await add('2rg8000000', 'bank');
    await add('2rh1000000', 'pair');
    const table = await run('list');
    expect(table.stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5))).toEqual([
      ['ID', 'STACK', 'ALGORITHM', 'TASKS', 'SIZE'],
      ['2rh1000000', 'pair', 'lai-yang', '1', '1.25 MB'],
      ['2rg8000000', 'bank', 'lai-yang', '1', '1.25 MB'],
    ]);
    const json = await run('list', 'bank', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject([
      { id: '2rg8000000', tasks: 1, nodes: ['n1'], sizeBytes: 1_250_000 },
    ]);
    expect((await run('list', 'bnk')).stdout).toBe('no snapshots of bnk; did you mean bank?');
  });

  test('inspect shows bytes in flight per direction; --json is the manifest', async () => {
    // a has written up to 180 and sent up to 175, b has received up to 170: 10 bytes on their way. b has written 940, sent 930, and a
    // has received 900: 40.
    const a = taskOf('bank_a', '10.0.1.2', '10.0.1.3');
    const b = taskOf('bank_b', '10.0.1.3', '10.0.1.2');
    const [[start], [end]] = [a.connections, b.connections];
    if (start === undefined || end === undefined) throw new Error('fixture');
    a.connections = [{ ...start, sndNxt: 175 }];
    b.connections = [
      {
        ...end,
        local: { address: '10.0.1.3', port: 5000 },
        remote: { address: '10.0.1.2', port: 4000 },
        rcvNxt: 170,
        sndNxt: 930,
        writeSeq: 940,
      },
    ];
    const manifest = manifestOf({ tasks: [a, b] });
    await hashedCatalogue(state).write(manifest);
    const { stdout } = await run('inspect', '2rg8');
    expect(stdout).toMatch(/^bank_a\.1 +bank_b\.1 +10\.0\.1\.2:4000 +10\.0\.1\.3:5000 +ESTABLISHED +10 B +5 B$/m);
    expect(stdout).toMatch(/^bank_b\.1 +bank_a\.1 .* 40 B +5 B$/m);
    expect(stdout).toContain('2 channels, 50 B in flight');
    expect(JSON.parse((await run('inspect', '2rg8', '--json')).stdout)).toEqual(manifest);
  });
});

describe('who answers for a manifest', () => {
  test('list and inspect say that one is unsigned, and that a signature cannot be checked here', async () => {
    await add('2rg8000000', 'bank');
    expect((await run('list')).stdout).toContain('signature not checked');
    const file = hashedCatalogue(state).manifestPath('2rg8000000');
    rmSync(join(dirname(file), 'manifest.sig.json'));
    expect((await run('list')).stdout).toMatch(/ unsigned$/m);
    expect(JSON.parse((await run('list', '--json')).stdout)).toMatchObject([{ signature: 'unsigned' }]);
    expect((await run('inspect', 'latest')).stdout).toContain('signature  its manifest is unsigned');
  });

  test('restore refuses an unsigned one before it looks for an engine: 7', async () => {
    await add('2rg8000000', 'bank');
    rmSync(join(dirname(hashedCatalogue(state).manifestPath('2rg8000000')), 'manifest.sig.json'));
    const { code, stderr } = await run('restore', 'latest', '--docker-socket', join(built.folder, 'no.sock'));
    expect(code).toBe(7);
    expect(stderr).toContain('--allow-unsigned');
  });
});

describe('inspect --channels', () => {
  /** One proxied stream with 40 bytes recorded towards b, and one connection of the kernel's with 10 bytes on their way to it. */
  async function addProxied(): Promise<void> {
    const a = {
      ...taskOf('bank_a', '10.0.1.2', '10.0.1.3'),
      streams: [streamEnd('opener', { sent: 100, delivered: 7 })],
    };
    const b = {
      ...taskOf('bank_b', '10.0.1.3', '10.0.1.2'),
      streams: [streamEnd('acceptor', { delivered: 60, recorded: 40, sent: 7 })],
    };
    const [[own], [other]] = [a.connections, b.connections];
    if (own === undefined || other === undefined) throw new Error('fixture');
    const at = (address: string, port: number) => ({ address, port });
    a.connections = [
      { ...own, local: at('10.0.1.2', 4000), remote: at('10.0.1.3', 9000) },
      { ...own, local: at('10.0.1.2', 7000), remote: at('10.0.1.3', 8000), sndNxt: 180 },
    ];
    b.connections = [
      { ...other, local: at('10.0.1.3', 9000), remote: at('10.0.1.2', 4000), recvQueueBytes: 3 },
      {
        ...other,
        local: at('10.0.1.3', 8000),
        remote: at('10.0.1.2', 7000),
        rcvNxt: 170,
        sndUna: 900,
        sndNxt: 900,
        writeSeq: 900,
      },
    ];
    await hashedCatalogue(state).write(manifestOf({ tasks: [a, b] }));
  }

  test('only those with bytes in flight, by number; all of them as JSON', async () => {
    await addProxied();
    const { stdout } = await run('inspect', '2rg8', '--channels');
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['#', 'FROM', 'TO', 'LOCAL', 'REMOTE', 'IN FLIGHT', 'WHERE'],
      ['1', 'bank_a.1', 'bank_b.1', '10.0.1.2:4000', '10.0.1.3:9000', '40 B', 'recorded'],
      ['2', 'bank_a.1', 'bank_b.1', '10.0.1.2:7000', '10.0.1.3:8000', '10 B', "sender's image"],
      ['2 of 4 channels had bytes in flight, 50 B in all'],
    ]);
    const json = JSON.parse((await run('inspect', '2rg8', '--channels', '--json')).stdout) as { channels: object[] };
    expect(json.channels).toHaveLength(4);
    expect(json.channels[0]).toMatchObject({ number: 1, recorded: true, inFlightBytes: 40, unreadBytes: 3 });
  });

  test('a channel that is not recorded, or is not there, cannot be dumped', async () => {
    await addProxied();
    const kernel = await run('inspect', '2rg8', '--dump', '2');
    expect(kernel.code).toBe(6);
    expect(kernel.stderr).toContain('in the CRIU image of bank_a.1');
    const none = await run('inspect', '2rg8', '--dump', '5');
    expect(none.code).toBe(3);
    expect(none.stderr).toContain('its channels are 1 to 4');
  });
});

describe('lint', () => {
  test('exit code 2 with places that editors understand, 0 when nothing is wrong', async () => {
    mkdirSync(state, { recursive: true });
    const file = join(state, 'compose.yml');
    writeFileSync(file, 'services:\n  a:\n    labels:\n      swarmcut.algorithm: lai-yong\n');
    const bad = await run('lint', file);
    expect(bad.code).toBe(2);
    expect(bad.stdout).toBe(`${file}:4:7: service a: there is no algorithm "lai-yong"\n    → did you mean lai-yang?`);
    expect(JSON.parse((await run('lint', file, '--json')).stdout)).toMatchObject([{ file, line: 4, column: 7 }]);
    writeFileSync(file, 'services: { a: { labels: { swarmcut.algorithm: sync } } }\n');
    expect(await run('lint', file)).toEqual({ code: 0, stdout: 'nothing is wrong', stderr: '' });
    expect((await run('lint', join(state, 'none.yml'))).code).toBe(2);
  });

  test('a file without an end is refused, and control bytes are written out', async () => {
    const endless = await run('lint', '/dev/zero');
    expect(endless).toMatchObject({ code: 2, stdout: '' });
    expect(endless.stderr).toContain('the compose file is longer than 1 MiB');
    mkdirSync(state, { recursive: true });
    const file = join(state, 'hostile.yml');
    writeFileSync(file, 'services: { "a\\e[2J": { labels: { swarmcut.external: "\\e[31m" } } }\n');
    for (const json of [[], ['--json']]) {
      const { code, stdout } = await run('lint', file, ...json);
      expect(code).toBe(2);
      expect(stdout).not.toContain('\u001b');
    }
  });
});

describe('signals', () => {
  test('the first one aborts and waits for the undoing; the exit code is 130', async () => {
    const script = built.add(
      'interrupted.ts',
      `import { Command } from 'commander';
       import { runOperation } from './coordinator/cli/context.ts';
       import { addGlobalOptions } from './coordinator/cli/options.ts';
       import { asSwarmcutError, errorText } from './coordinator/cli/report-error.ts';
       const program = addGlobalOptions(new Command('test'));
       program.action(async () => {
         await runOperation(program, 'test', async (ctx) => {
           const keepAlive = setInterval(() => {}, 1000);
           process.stdout.write('ready\\n');
           await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve));
           process.stdout.write('undone\\n');
           clearInterval(keepAlive);
           ctx.signal.throwIfAborted();
         });
       });
       await program.parseAsync().catch((error) => {
         const known = asSwarmcutError(error);
         process.stderr.write(errorText(known, false));
         process.exitCode = known.exitCode;
       });`,
    );
    const child = built.start(script, ...built.directories);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    const { exitCode, stdout, stderr } = await child;
    expect(exitCode).toBe(130);
    expect(stdout).toBe('ready\nundone');
    expect(stderr).toContain('interrupted by SIGTERM; everything was put back');
  });
});

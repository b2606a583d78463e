import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ALGORITHMS,
  agentsAnswer,
  deployBank,
  bringBack,
  expectNoTraces,
  expectSoundBank,
  freezeOn,
  harmIn,
  killService,
  killer,
  others,
  placement,
  snapshot,
  specOf,
  stacks,
  startCoordinator,
  waitFor,
} from './harness.ts';
import type { Manifest, VerifyReport } from './harness.ts';

const SERVICES = ['bank_branch-a', 'bank_branch-b', 'bank_branch-c'];

/** Nothing here may cost the running bank anything: it is audited after every mishap. */
describe('when things go wrong', () => {
  beforeAll(async () => {
    await deployBank('lai-yang', 2000);
  });

  afterAll(async () => {
    for (const node of stacks.nodes) await stacks.run(node, ['rm', '-f', '/run/testbed/agent.down']);
    await stacks.remove('bank', { volumes: true });
  });

  async function nodeOf(key: string): Promise<string> {
    return (await placement('bank'))[key] ?? '';
  }

  /** The bank works, is sound, and bears no trace of what was tried. */
  async function expectUnharmed(): Promise<void> {
    await expectSoundBank();
    await expectNoTraces('bank');
  }

  describe('an order that cannot be carried out is refused with advice', () => {
    test.each([
      [['snapshot', 'bnk'], 3, /no stack named bnk/, /bank/],
      [['restore', 'zzzzz'], 3, /zzzzz/, undefined],
      [['verify', 'latest:nothing'], 3, /nothing/, undefined],
      [['migrate', 'bank_branch-x'], 3, /bank_branch-x/, /bank_branch-/],
      [['migrate', 'bank_branch-a', '--to', 'n7'], 3, /no node named n7/, /n1/],
      [['snapshot', 'bank', '--algorithm', 'lay-yang'], 2, /lay-yang/, undefined],
    ])('coordinator %j', async (args, exitCode, message, advice) => {
      const answer = await stacks.coordinator(args);
      expect(answer.exitCode).toBe(exitCode);
      expect(answer.error?.message).toMatch(message);
      if (advice !== undefined) expect(answer.error?.advice).toMatch(advice);
    });
  });

  describe('an agent is away', () => {
    test('a snapshot that needs it is refused, and so is what would start a task empty on its node', async () => {
      const node = await nodeOf('branch-a.1');
      const elsewhere = Object.entries(await placement('bank')).find(([, where]) => where !== node)?.[0] ?? '';
      const { id } = await snapshot('bank');
      await killService(node, 'agent', { keepDown: true });
      try {
        const answer = await stacks.coordinator(['snapshot', 'bank']);
        expect(answer).toMatchObject({ exitCode: 5, error: { code: 'unreachable' } });
        expect(JSON.stringify(answer.error)).toContain(node);
        const service = `bank_${elsewhere.replace(/\.\d+$/, '')}`;
        for (const order of [
          ['migrate', service, '--to', node],
          ['restore', id, '--to', node],
        ]) {
          const { exitCode, error } = await stacks.coordinator(order);
          expect({ exitCode, message: error?.message }).toMatchObject({
            exitCode: 5,
            message: expect.stringMatching(new RegExp(`cannot go to ${node}: the agent of node ${node}`)) as string,
          });
        }
        const checked = await stacks.coordinator<{ node: string }[]>(['check']);
        expect(checked.exitCode).toBe(5);
      } finally {
        await bringBack(node);
      }
      await expectUnharmed();
      await stacks.coordinate(['rm', id]);
    });

    test.each(ALGORITHMS)('it is killed in the middle of a cut (%s) and starts again', async (algorithm) => {
      const node = await nodeOf('branch-c.1');
      const kill = await killer(node, 'agent');
      const frozen = freezeOn(node);
      const running = stacks.coordinator(['snapshot', 'bank', '--algorithm', algorithm]);
      await frozen;
      kill();
      expect((await running).exitCode).not.toBe(0);
      await agentsAnswer();
      await expectUnharmed();
      await snapshot('bank', '--algorithm', algorithm);
      await expectUnharmed();
    });

    test("it is killed in the middle of a cut and stays away: the dead man's switch lets the task go", async () => {
      const node = await nodeOf('branch-c.1');
      const kill = await killer(node, 'agent', { keepDown: true });
      const frozen = freezeOn(node);
      const running = stacks.coordinator(['snapshot', 'bank', '--freeze-timeout', '3s']);
      await frozen;
      kill();
      try {
        expect((await running).exitCode).not.toBe(0);
        await expectNoTraces('bank', harmIn);
        await expectSoundBank();
      } finally {
        await bringBack(node);
      }
      await expectUnharmed();
    });
  });

  test.each(ALGORITHMS)('the coordinator is killed in the middle of a round (%s)', async (algorithm) => {
    const before = await stacks.coordinate<unknown[]>(['list', 'bank']);
    const frozen = freezeOn(await nodeOf('branch-a.1'));
    const coordinator = await startCoordinator([
      'snapshot',
      'bank',
      '--algorithm',
      algorithm,
      '--freeze-timeout',
      '3s',
    ]);
    await frozen;
    coordinator.kill();
    await coordinator.ended;
    await expectNoTraces('bank', harmIn);
    await expectSoundBank();
    expect(await stacks.coordinate(['list', 'bank'])).toEqual(before);
    await snapshot('bank', '--algorithm', algorithm);
    await expectUnharmed();
  });

  test('Ctrl-C in the middle of a round puts everything back', async () => {
    const frozen = freezeOn(await nodeOf('branch-a.1'));
    const coordinator = await startCoordinator(['snapshot', 'bank']);
    await frozen;
    coordinator.kill('SIGINT');
    expect(await coordinator.ended).toMatchObject({ exitCode: 130 });
    await expectUnharmed();
  });

  test('a second command on the stack is refused by the name of the first', async () => {
    const first = await startCoordinator(['snapshot', 'bank']);
    const answer = await waitFor(
      'a refusal',
      async () => {
        const second = await stacks.coordinator(['snapshot', 'bank']);
        return second.exitCode !== 0 && second;
      },
      { timeoutMs: 1000 },
    ).catch(() => undefined);
    await first.ended;
    // Which of the two came first is chance; that never both ran is not.
    if (answer !== undefined) {
      expect(answer).toMatchObject({ exitCode: 4, error: { code: 'conflict' } });
      expect(answer.error?.message).toMatch(/a snapshot \(id \w+\) of stack bank has been running since/);
    }
    await expectUnharmed();
  });

  test('a damaged part: verify is red, a restore is refused, and the old stack goes on', async () => {
    const { id } = await snapshot('bank');
    expect(await stacks.coordinate<VerifyReport>(['verify', id])).toMatchObject({ ok: true });
    const manifest = await stacks.coordinate<Manifest>(['inspect', id]);
    const task = manifest.tasks.find(({ task: { service } }) => service === 'bank_branch-a');
    const part = task?.parts.find(({ path }) => path.startsWith('pages-'));
    if (task === undefined || part === undefined) throw new Error('the snapshot has no memory pages of branch-a');
    const file = `/var/lib/swarmcut/parts/${part.sha256.slice(0, 2)}/${part.sha256}`;
    await stacks.must(task.node, [
      'node',
      '-e',
      'const fs=require("fs");const f=fs.openSync(process.argv[1],"r+");const b=Buffer.alloc(1);fs.readSync(f,b,0,1,4096);b[0]^=1;fs.writeSync(f,b,0,1,4096)',
      file,
    ]);

    const verified = await stacks.coordinator<VerifyReport>(['verify', id]);
    expect(verified).toMatchObject({ exitCode: 7, result: { ok: false } });
    expect(verified.result?.problems.join()).toContain(part.path);

    const specs = await Promise.all(SERVICES.map(specOf));
    const where = await placement('bank');
    // In place, the damaged part is not even sent: it must be found all the same.
    for (const target of [where['branch-a.1'] ?? '', others(where['branch-a.1'] ?? '')[0]]) {
      const restored = await stacks.coordinator(['restore', id, '--to', target]);
      expect(restored).toMatchObject({ exitCode: 7, error: { code: 'damaged' } });
      expect(await Promise.all(SERVICES.map(specOf))).toEqual(specs);
      expect(await placement('bank')).toEqual(where);
      await expectUnharmed();
    }
  });

  test('a restore that fails half way: the old stack goes on, and the services are as they were', async () => {
    const { id } = await snapshot('bank');
    const specs = await Promise.all(SERVICES.map(specOf));
    const where = await placement('bank');
    const node = where['branch-a.1'] ?? '';
    const kill = await killer(node, 'agent');
    const frozen = freezeOn(node);
    const running = stacks.coordinator(['restore', id]);
    // The old tasks have just been suspended: from here on it costs something.
    await frozen;
    kill();
    expect((await running).exitCode).not.toBe(0);
    await agentsAnswer();
    expect(await Promise.all(SERVICES.map(specOf))).toEqual(specs);
    expect(await placement('bank')).toEqual(where);
    await expectUnharmed();
  });
});

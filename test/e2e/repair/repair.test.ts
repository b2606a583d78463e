import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LeftoverItem, RepairReport } from '../../../coordinator/operations/index.ts';
import {
  PATIENCE_MS,
  expectGoesOn,
  expectNoTraces,
  freezeOn,
  snapshot,
  stacks,
  startCoordinator,
  waitFor,
} from '../harness.ts';
import type { RunningTask } from '../harness.ts';

const STACK = 'repair';
const GONE = 'ab'.repeat(32);
const FIRED = 'ef'.repeat(32);
const RUN = '/run/swarmcut';
const STATE = '/var/lib/swarmcut';

/** `coordinator check --repair`: what was left behind is shown, and cleared when asked for; what is in use is not touched. */
describe('leftovers', () => {
  let client: RunningTask;

  beforeAll(async () => {
    await stacks.deploy('pair', { stack: STACK, algorithm: 'lai-yang' });
  });

  afterAll(async () => {
    await stacks.remove(STACK);
  });

  async function repair(...how: string[]): Promise<{ exitCode: number; report: RepairReport }> {
    const { exitCode, result, stderr } = await stacks.coordinator<RepairReport>(['check', '--repair', ...how]);
    if (result === undefined) throw new Error(stderr);
    return { exitCode, report: result };
  }

  /** What is left, by what names it; what is in use apart. */
  const left = ({ items }: RepairReport): string[] =>
    items
      .filter(({ state }) => state !== 'in use')
      .map(nameOf)
      .sort();

  const nameOf = ({ node, kind, subject }: LeftoverItem): string => `${node} ${kind} ${subject}`;

  test('there are none where all is well', async () => {
    await snapshot(STACK);
    client = await stacks.task(STACK, 'client');
    const { exitCode, report } = await repair('--dry-run');
    expect(report).toEqual({ items: [], unreached: [] });
    expect(exitCode).toBe(0);
  });

  test('each kind is shown and stays without --yes, and is cleared with it', async () => {
    const { node, containerId } = client;
    const on = (script: string): Promise<string> => stacks.must(node, ['sh', '-ec', script, 'sh', containerId]);
    // A task that somebody has frozen and blocked behind everybody's back, as a round that went wrong would.
    const rules = [
      'add table inet swarmcut',
      'add set inet swarmcut blocked_out { type nf_proto; flags timeout; }',
      'add chain inet swarmcut block_out { type filter hook output priority -400; }',
      'add element inet swarmcut blocked_out { ipv4 timeout 1h }',
    ].join('\n');
    await stacks.must(
      node,
      [
        'sh',
        '-ec',
        `nsenter --net=/proc/$(docker inspect -f '{{.State.Pid}}' "$1")/ns/net nft -f -`,
        'sh',
        containerId,
      ],
      { input: `${rules}\n` },
    );
    await on('runc --root /run/docker/runtime-runc/moby pause "$1"');
    const part = 'cd'.repeat(32);
    await on(`
      mkdir -p ${RUN}/network ${RUN}/moved ${RUN}/journal ${RUN}/deadman ${RUN}/stage/20260101T000000Z-x ${STATE}/restore/gone/x ${STATE}/parts/cd
      echo '{"aliases":[],"rewrites":[]}' > ${RUN}/network/${GONE}.json
      : > ${RUN}/moved/${GONE}
      echo '{"containerId":"${GONE}","pid":1,"owner":"x"}' > ${RUN}/journal/${GONE}.json
      echo 'fired' > ${RUN}/deadman/${FIRED}.log
      echo '{"containerId":"${GONE}","firesAtMs":1,"undo":[]}' > ${RUN}/deadman/${GONE}.1.json
      echo x > ${STATE}/parts/cd/${part}
      mkdir -p ${RUN}/stage/mounted; mount -t tmpfs none ${RUN}/stage/mounted`);
    await stacks.must('n1', [
      'sh',
      '-ec',
      `mkdir -p ${RUN}/locks
       echo '{"pid":999999,"command":"restore","id":"r1","since":"2026-01-01T00:00:00.000Z"}' > ${RUN}/locks/${STACK}.lock`,
    ]);
    const expected = [
      `${node} frozen task ${containerId}`,
      `${node} file ${RUN}/network/${GONE}.json`,
      `${node} file ${RUN}/moved/${GONE}`,
      `${node} journal entry ${RUN}/journal/${GONE}.json`,
      `${node} dead man's switch ${RUN}/deadman/${FIRED}.log`,
      `${node} dead man's switch ${RUN}/deadman/${GONE}.1.json`,
      `${node} stage ${RUN}/stage/20260101T000000Z-x`,
      `${node} stage ${RUN}/stage/mounted`,
      `${node} mount ${RUN}/stage/mounted`,
      `${node} stage ${STATE}/restore/gone`,
      `${node} part ${STATE}/parts`,
      `coordinator lock ${RUN}/locks/${STACK}.lock`,
    ].sort();

    const shown = await repair('--dry-run');
    expect(left(shown.report)).toEqual(expected);
    expect(shown.exitCode).toBe(6);
    expect(left((await repair('--dry-run')).report)).toEqual(expected);

    const cleared = await repair('--yes');
    expect(cleared.report.items.filter(({ state }) => state !== 'cleared')).toEqual([]);
    expect(left(cleared.report)).toEqual(expected);
    expect(cleared.exitCode).toBe(0);
    expect(await repair('--dry-run')).toEqual({ exitCode: 0, report: { items: [], unreached: [] } });
    await expectNoTraces(STACK);
    await expectGoesOn(STACK);
  });

  test('a task that a user has paused is none of ours, and stays paused', async () => {
    const { node, containerId } = client;
    await stacks.must(node, ['docker', 'pause', containerId]);
    try {
      expect(left((await repair('--yes')).report)).toEqual([]);
      const state = ['docker', 'inspect', '-f', '{{.State.Paused}}', containerId];
      expect(await stacks.must(node, state)).toBe('true');
    } finally {
      await stacks.must(node, ['docker', 'unpause', containerId]);
    }
    await expectGoesOn(STACK);
  });

  test('a restore under way is named and not touched, and comes to its end', async () => {
    const { id } = await snapshot(STACK);
    const { node } = await stacks.task(STACK, 'client');
    const frozen = freezeOn(node);
    const coordinator = await startCoordinator(['restore', id, '--to', node]);
    await frozen;
    coordinator.kill('SIGSTOP');
    try {
      await waitFor('the sight of it', async () => (await repair('--dry-run')).report.items.length > 0, {
        timeoutMs: PATIENCE_MS,
      });
      const { exitCode, report } = await repair('--yes');
      expect(exitCode).toBe(0);
      expect(report.items.map(({ state }) => state)).toEqual(report.items.map(() => 'in use'));
      const why = report.items.map((item) => item.why).join('; ');
      expect(why).toMatch(
        new RegExp(`a restore \\(id .*\\) of stack ${STACK} has been running since .* \\(process \\d+\\)`),
      );
    } finally {
      coordinator.kill('SIGCONT');
    }
    expect(await coordinator.ended).toMatchObject({ exitCode: 0 });
    expect(await expectGoesOn(STACK)).toMatchObject({ errors: 0, reconnects: 0 });
    await stacks.coordinate(['rm', id]);
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { unpackedFiles } from '../../../agent/files/unpack.ts';
import { Restores, type RestoresOptions } from '../../../agent/restores/restores.ts';
import { RestoredRecords, type RestoredRecord } from '../../../agent/restores/restored-records.ts';
import { Expectations } from '../../../agent/runtime/shim/expectations.ts';
import type { CreateAnswer } from '../../../agent/runtime/shim/protocol.ts';
import { shimFixture, type ShimFixture } from '../runtime/shim/fixture.ts';

const SERVICE = 'bank_a';

/** A container that was made for a restore never starts as anything else, and gets its answer when it is known. */
describe('a container of an expected service', () => {
  let fixture: ShimFixture;
  let expectations: Expectations;
  const told: string[] = [];
  beforeEach(() => {
    fixture = shimFixture();
    expectations = new Expectations({ run: fixture.run });
    expectations.open({ runc: '/r', main: '/m', dataRoot: '/d' });
    told.length = 0;
  });
  afterEach(() => fixture.remove());

  function agent(): Restores {
    const note = (what: string) => () => {
      told.push(what);
      return Promise.resolve();
    };
    return new Restores({
      runDir: fixture.run,
      expectations,
      stager: {
        warmUp: () => undefined,
        cleanUp: note('clean up'),
        adoptFiles: () => Promise.resolve(() => unpackedFiles([])),
        stage: () => Promise.resolve({ checked: Promise.resolve(), files: unpackedFiles([]), fetchedBytes: 0 }),
        criuConfig: () => Promise.resolve(''),
        restoreError: () => Promise.resolve(new Error('CRIU could not')),
      },
      network: { prepare: note('prepare'), release: note('open the block'), tidy: note('tidy') },
      held: { release: note('release'), releaseUndecided: note('release undecided') },
      sidecars: { end: note('end sidecar'), of: () => undefined, afterRestore: note('after restore') },
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    } as unknown as RestoresOptions);
  }

  /** What the shim is answered, as soon as it is. */
  function create(restores: Restores, containerId: string): { answer: CreateAnswer | undefined } {
    const asked: { answer: CreateAnswer | undefined } = { answer: undefined };
    const labels = { 'com.docker.swarm.task.id': `task of ${containerId}` };
    const request = { containerId, service: SERVICE, bundle: '/b', options: [], globals: [], labels };
    void restores.create(request, new AbortController().signal).then((answer) => (asked.answer = answer));
    return asked;
  }

  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('waits while a restore is given up, fails when the services are back, and is ordinary from then on', async () => {
    const restores = agent();
    restores.expect('r1', 'bank', [SERVICE]);
    const asked = create(restores, 'c1');
    await restores.abort('r1', 'x', false);
    const late = create(restores, 'c2');
    await settled();
    expect([asked.answer, late.answer]).toEqual([undefined, undefined]);
    const waiting = ['task of c1', 'task of c2'];
    expect(restores.list()).toEqual([{ restoreId: 'r1', stack: 'bank', waiting }]);

    await restores.abort('r1', 'x', true);
    await settled();
    expect([asked.answer, late.answer]).toMatchObject([{ action: 'fail' }, { action: 'fail' }]);
    expect(expectations.expectedBy(SERVICE)).toBeUndefined();
  });

  it('waits when the agent starts again, until somebody says that the restore is over', async () => {
    agent().expect('r1', 'bank', [SERVICE]);
    const next = agent();
    const asked = create(next, 'c1');
    await settled();
    expect(asked.answer).toBeUndefined();
    expect(() => next.pass('r1', 'c1')).toThrow(/the agent was restarted/);
    await next.abort('r1', 'x', true);
    await settled();
    expect(asked.answer).toMatchObject({ action: 'fail' });
  });

  it('that was restored is released by the agent that comes next, when the restore is committed', async () => {
    agent().expect('r1', 'bank', [SERVICE]);
    const pidFile = join(fixture.run, 'pid');
    writeFileSync(pidFile, '1');
    const request = {
      containerId: 'c1',
      service: SERVICE,
      bundle: '/b',
      options: [],
      globals: [],
      labels: {},
      pidFile,
    };
    const plan = { subnets: [] } as unknown as RestoredRecord['plan'];
    await new RestoredRecords(fixture.run).note({ restoreId: 'r1', request, plan });

    const next = agent();
    await next.open();
    const verdict = next.restored({ containerId: 'c1', code: 0, log: '' }, new AbortController().signal);
    await next.releaseRestored('r1', 'c1');
    expect(await verdict).toEqual({ action: 'ok' });
    expect(told).toContain('open the block');
    expect(await new RestoredRecords(fixture.run).all()).toEqual([]);
  });

  it('whose restore has failed says so when the services are back: for one that fails before, Swarm would make another task', async () => {
    const restores = agent();
    restores.expect('r1', 'bank', [SERVICE]);
    const asked = create(restores, 'c1');
    const { signal } = new AbortController();
    await restores.stage('r1', 'c1', { saved: undefined, parts: [], sources: [] } as never, signal);
    const failed = restores
      .restore('r1', 'c1', { subnets: [] } as never, [], null)
      .catch((error: unknown) => (error as Error).message);
    await vi.waitUntil(() => asked.answer);
    expect(asked.answer).toMatchObject({ action: 'restore' });
    let verdict: unknown;
    void restores.restored({ containerId: 'c1', code: 1, log: '' }, signal).then((answer) => (verdict = answer));
    expect(await failed).toBe('CRIU could not');
    await restores.abort('r1', 'x', false);
    await settled();
    expect(verdict).toBeUndefined();
    await restores.abort('r1', 'x', true);
    await settled();
    expect(verdict).toEqual({ action: 'fail', message: 'CRIU could not' });
  });

  it('that comes late fails when the restore has ended, unless it was passed', async () => {
    const restores = agent();
    restores.expect('r1', 'bank', [SERVICE]);
    const [passed, late] = [create(restores, 'c1'), create(restores, 'c2')];
    restores.pass('r1', 'c1');
    await restores.end('r1');
    await settled();
    expect([passed.answer, late.answer]).toMatchObject([{ action: 'pass' }, { action: 'fail' }]);
  });
});

import { describe, expect, it } from 'vitest';
import type { HealthCheck } from '../../../agent/runtime/docker/health.ts';
import { CONTAINER, FakeDeadman, HeldBed, NOTHING_LEFT, RESTORE, ROUND } from './held-bed.ts';

/** An old task that has confirmed that its successor may be released: whether that has happened, only the coordinator knows. */
describe('a task in doubt', () => {
  async function inDoubt(health?: HealthCheck): Promise<HeldBed> {
    const bed = new HeldBed();
    bed.health = health;
    await bed.roundTask('frozen');
    await bed.held.takeOver(RESTORE, ROUND, CONTAINER);
    await bed.held.prepareRetirement(RESTORE, CONTAINER, 600_000);
    return bed;
  }

  it('is noted as such, for an agent that starts again and cannot ask the engine', async () => {
    const health = { args: ['true'], unhealthy: false, timeoutMs: 1, verdictMs: 2 };
    expect([...(await inDoubt(health)).inDoubt]).toEqual([[CONTAINER, health]]);
  });

  it('stands still when its coordinator is gone, and when its round is given up', async () => {
    const bed = await inDoubt();
    await bed.held.releaseUndecided(RESTORE, 'its coordinator is gone');
    await bed.held.release(ROUND, 'left behind');
    expect([...bed.frozen]).toEqual([CONTAINER]);
  });

  it('goes on when it is told that nothing came of it', async () => {
    const bed = await inDoubt();
    await bed.held.releaseUndecided(RESTORE, 'its coordinator is gone');
    await bed.held.release(RESTORE, 'rolled back');
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it('is not there before it has confirmed: then it goes on when its coordinator is gone', async () => {
    const bed = new HeldBed();
    await bed.held.suspend(RESTORE, CONTAINER, 5_000);
    await bed.held.releaseUndecided(RESTORE, 'its coordinator is gone');
    expect(bed.left).toEqual(NOTHING_LEFT);
  });

  it.each([
    ['retired', [CONTAINER]],
    ['let go', []],
  ])('that an earlier agent has left is %s when its relocation says so', async (what, frozen) => {
    const bed = new HeldBed();
    bed.frozen.add(CONTAINER);
    await bed.held.adopt(
      RESTORE,
      bed.container(CONTAINER),
      new FakeDeadman(bed, { containerId: CONTAINER, afterMs: 1 }),
    );
    if (what === 'retired') await bed.held.retire(RESTORE, CONTAINER);
    else await bed.held.release(RESTORE, 'rolled back');
    expect([...bed.frozen]).toEqual(frozen);
    expect([...bed.moved]).toEqual(frozen);
    expect(bed.done).toContain('block sidecar');
  });
});

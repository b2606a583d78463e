import { createSocket } from 'node:dgram';
import { expect, it } from 'vitest';
import { HeldBed } from './held-bed.ts';

it('a task in which a lookup has begun between block and freeze runs on until that has ended', async () => {
  const bed = new HeldBed();
  bed.pid = process.pid;
  const lookup = createSocket('udp4');
  bed.before.set('freeze', async () => {
    bed.before.delete('freeze');
    await new Promise<void>((resolve) => lookup.connect(53, '127.0.0.11', resolve));
  });
  bed.before.set('thaw', () => {
    bed.before.delete('thaw');
    lookup.close();
    return Promise.resolve();
  });
  const task = await bed.roundTask('frozen');
  expect(task.state).toBe('frozen');
  expect(bed.done.filter((step) => step === 'freeze' || step === 'thaw')).toEqual(['freeze', 'thaw', 'freeze']);
});

it('one in which there is always a lookup is frozen at last', async () => {
  const bed = new HeldBed();
  bed.pid = process.pid;
  let lookup = createSocket('udp4');
  bed.before.set('freeze', async () => {
    lookup.close();
    lookup = createSocket('udp4');
    await new Promise<void>((resolve) => lookup.connect(53, '127.0.0.11', resolve));
  });
  await bed.roundTask('frozen');
  lookup.close();
  expect(bed.frozen.size).toBe(1);
});

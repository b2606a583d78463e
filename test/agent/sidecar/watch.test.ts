import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { closeDescriptor, tryOpenProcess } from '../../../agent/linux/sys.ts';
import { Watch } from '../../../agent/sidecar/sockets/watch.ts';

const open: { readonly fd: number; readonly watch: Watch }[] = [];

afterEach(() => {
  for (const { fd, watch } of open.splice(0)) {
    watch.close();
    closeDescriptor(fd);
  }
});

/** Watches a process that has ended: its descriptor is readable from now on. */
async function readable(seen: () => void): Promise<Watch> {
  const child = spawn('/bin/sleep', ['60']);
  await once(child, 'spawn');
  const fd = tryOpenProcess(child.pid ?? -1);
  child.kill();
  await once(child, 'exit');
  const watch = new Watch(fd, { readable: seen, writable: () => undefined });
  open.push({ fd, watch });
  return watch;
}

test('who is closed by what is done for another is not told any more, though both had something at once', async () => {
  let told = 0;
  const all: Watch[] = [];
  const seen = (own: number) => (): void => {
    told += 1;
    all[own]?.set(false, false);
    all[1 - own]?.close();
  };
  all.push(await readable(seen(0)), await readable(seen(1)));
  for (const watch of all) watch.set(true, false);
  await vi.waitFor(() => expect(told).toBe(1));
  // Another one, which comes later, has come: so would have the second word.
  const later = vi.fn();
  const third = await readable(() => {
    third.set(false, false);
    later();
  });
  third.set(true, false);
  await vi.waitFor(() => expect(later).toHaveBeenCalledOnce());
  expect(told).toBe(1);
});

test('who wants to know nothing is not told, and is told what there is when he wants to again', async () => {
  let told = 0;
  const watch = await readable(() => {
    told += 1;
    watch.set(false, false);
  });
  watch.set(true, false);
  await vi.waitFor(() => expect(told).toBe(1));
  watch.set(true, false);
  watch.set(false, false);
  const other = vi.fn();
  const third = await readable(() => {
    third.set(false, false);
    other();
  });
  third.set(true, false);
  await vi.waitFor(() => expect(other).toHaveBeenCalledOnce());
  expect(told).toBe(1);
  watch.set(true, false);
  await vi.waitFor(() => expect(told).toBe(2));
});

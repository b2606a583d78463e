import { libc, checked, uninterrupted } from '../../linux/sys.ts';

/** epoll(7), for many descriptors behind one. */
export const EPOLL_OPERATIONS = { add: 1, remove: 2, change: 3 } as const;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
const EPOLL_CLOEXEC = 0o2000000;

/** struct epoll_event, packed on x86-64 alone: events (4 bytes), data (8), of which we use the first 4. */
const PACKED = process.arch === 'x64';
export const EPOLL_EVENT_BYTES = PACKED ? 12 : 16;
export const EPOLL_ID_AT = PACKED ? 4 : 8;
const SCRATCH_EVENT = Buffer.alloc(EPOLL_EVENT_BYTES);

/** @returns a descriptor that is readable when something has happened to one of those that it was told of */
export function createEpoll(): number {
  return checked(libc().epoll_create1(EPOLL_CLOEXEC), 'epoll_create1');
}

/** @param id comes back with the events (32 bits) */
export function controlEpoll(epoll: number, operation: number, fd: number, events: number, id: number): void {
  SCRATCH_EVENT.writeUInt32LE(events);
  SCRATCH_EVENT.writeUInt32LE(id, EPOLL_ID_AT);
  checked(libc().epoll_ctl(epoll, operation, fd, SCRATCH_EVENT), 'epoll_ctl');
}

/** @param into gets what has happened until now, up to `most` events @returns how many */
export function waitEpoll(epoll: number, into: Buffer, most: number): number {
  return uninterrupted(() => libc().epoll_wait(epoll, into, most, 0), 'epoll_wait');
}

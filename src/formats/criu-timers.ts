import protobuf from 'protobufjs/minimal.js';
import { decodeImage, encodeImage } from './criu-image.ts';

const FILES_IMAGE = 'files.img';
/** file_entry (images/fdinfo.proto): type, id, and the timer if it is one. */
const FILE_TYPE = 1;
const FILE_ID = 2;
const FILE_TIMER = 12;
const TYPE_TIMER = 17;
/** timerfd_entry (images/timerfd.proto). */
const TIMER = { ticks: 5, seconds: 7, nanoseconds: 8, intervalSeconds: 9, intervalNanoseconds: 10 };

/**
 * A periodic timerfd that has expired and was not read yet shows no time left, for the kernel starts its next period at the read. CRIU
 * restores "no time left" as "not armed", and the timer never fires again. As every short period ends while a task is frozen, this
 * would stop every program that works by such a timer. So the time left becomes 1 ns.
 * @param data of files.img
 * @returns the image with such timers patched; undefined if there are none
 * @throws SwarmcutError `damaged`
 */
export function patchTimers(data: Uint8Array): Uint8Array | undefined {
  const files = decodeImage('files', FILES_IMAGE, data);
  const entries = files.map((file) => {
    const timer = file.number(FILE_TYPE) === TYPE_TIMER ? file.message(FILE_TIMER) : undefined;
    if (timer === undefined) return file.bytes;
    const has = (...fields: readonly number[]): boolean => fields.some((field) => (timer.number(field) ?? 0) > 0);
    const periodic = has(TIMER.intervalSeconds, TIMER.intervalNanoseconds);
    if (!periodic || !has(TIMER.ticks) || has(TIMER.seconds, TIMER.nanoseconds)) return file.bytes;
    // Of a number that is there twice, the last one counts.
    const timeLeft = protobuf.Writer.create()
      .uint32(TIMER.nanoseconds << 3)
      .uint64(1)
      .finish();
    return protobuf.Writer.create()
      .uint32(FILE_TYPE << 3)
      .uint32(TYPE_TIMER)
      .uint32(FILE_ID << 3)
      .uint32(file.required(FILE_ID))
      .uint32((FILE_TIMER << 3) | 2)
      .bytes(Uint8Array.of(...timer.bytes, ...timeLeft))
      .finish();
  });
  const patched = entries.some((entry, index) => entry !== files[index]?.bytes);
  return patched ? encodeImage('files', entries) : undefined;
}

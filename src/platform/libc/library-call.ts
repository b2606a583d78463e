import koffi from 'koffi';

/** `null` is the program itself, which has a C library whatever its name is on this system. */
const library = koffi.load(null);

/** A function of the C library that tells by its result whether it has failed (`koffi.errno()` says how). */
export type Call = (...args: unknown[]) => number;

/**
 * A function of the C library.
 * @param prototype in C, with koffi's `_Out_` and `_Inout_`
 * @throws Error when the library has none of that name
 */
export function libraryCall(prototype: string): Call {
  return library.func(prototype) as Call;
}

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Progress } from './deadlines.ts';

/** Says how far something is. It is asked only when somebody wants to know. */
export type Look = () => Progress | Promise<Progress>;

/**
 * What one call is at, for whoever waits for its answer. The code that does the work says so ({@link didSome}, {@link followed}) without knowing for
 * which call it works.
 */
export class Activity {
  readonly #looks = new Set<Look>();
  #done = 0;
  #doing = '';

  /** Something was done. @param doing what is being done from now on */
  did(doing = this.#doing): void {
    this.#done += 1;
    this.#doing = doing;
  }

  follow(look: Look): Disposable {
    this.#looks.add(look);
    return { [Symbol.dispose]: () => void this.#looks.delete(look) };
  }

  /** Never rejects: what cannot be looked at has made no progress. */
  async progress(): Promise<Progress> {
    const looks = await Promise.all([...this.#looks].map(async (look) => look()).map((seen) => seen.catch(() => NONE)));
    const doing = looks.map((seen) => seen.doing).filter((text) => text !== '');
    return {
      doing: doing.length === 0 ? this.#doing : doing.join('; '),
      mark: [String(this.#done), ...looks.map(({ mark }) => mark)].join(' '),
    };
  }
}

const NONE: Progress = { doing: '', mark: '' };

const current = new AsyncLocalStorage<Activity>();

/** Does work, and whatever it brings about, for this call. */
export function inActivity<T>(activity: Activity, work: () => T): T {
  return current.run(activity, work);
}

/** The present call has got on. Outside of any: no effect. @param doing what is being done from now on, if that is something else */
export function didSome(doing?: string): void {
  current.getStore()?.did(doing);
}

/** Until it is disposed of, the progress of the present call can be seen by looking there. Outside of any: no effect. */
export function followed(look: Look): Disposable {
  return current.getStore()?.follow(look) ?? { [Symbol.dispose]: () => undefined };
}

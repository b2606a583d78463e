import type { Topology } from './config.ts';

/** Most channels that one run may have: beyond, memory and time go to the graph rather than to the algorithm. */
const MAX_CHANNELS = 2_000_000;

/**
 * The neighbours of every process: undirected edges, each of which becomes two channels. Sorted, without duplicates.
 * @throws RangeError when no such graph exists or it is too large
 */
export function neighbours(topology: Topology, processes: number, degree: number): readonly (readonly number[])[] {
  const lists = Array.from({ length: processes }, () => new Set<number>());
  const connect = (a: number, b: number): void => {
    if (a === b) return;
    lists[a]?.add(b);
    lists[b]?.add(a);
  };
  switch (topology) {
    case 'ring':
      for (let p = 0; p < processes; p++) connect(p, (p + 1) % processes);
      break;
    case 'line':
      for (let p = 0; p + 1 < processes; p++) connect(p, p + 1);
      break;
    case 'star':
      for (let p = 1; p < processes; p++) connect(0, p);
      break;
    case 'full':
      if (processes * (processes - 1) > MAX_CHANNELS) {
        throw new RangeError(`topology: full, ${processes} processes have more than ${MAX_CHANNELS} channels`);
      }
      for (let p = 0; p < processes; p++) for (let q = p + 1; q < processes; q++) connect(p, q);
      break;
    case 'grid': {
      const width = Math.ceil(Math.sqrt(processes));
      for (let p = 0; p < processes; p++) {
        if ((p + 1) % width !== 0 && p + 1 < processes) connect(p, p + 1);
        if (p + width < processes) connect(p, p + width);
      }
      break;
    }
    case 'regular':
      regular(processes, degree, connect);
      break;
  }
  return lists.map((set) => [...set].sort((a, b) => a - b));
}

/** Circulant graph whose offsets grow geometrically, so that the diameter stays small. */
function regular(processes: number, degree: number, connect: (a: number, b: number) => void): void {
  if (degree < 2 || degree % 2 !== 0)
    throw new RangeError(`degree: ${degree} is not even and positive, as topology regular wants it`);
  if (processes * degree > MAX_CHANNELS) {
    throw new RangeError(
      `degree: ${processes} processes with ${degree} neighbours have more than ${MAX_CHANNELS} channels`,
    );
  }
  const half = degree / 2;
  const offsets = new Set<number>();
  for (let i = 0; offsets.size < Math.min(half, Math.floor(processes / 2)); i++) {
    const wanted = Math.max(1, Math.round((processes / 2) ** (i / Math.max(1, half))));
    let offset = Math.min(wanted, Math.floor(processes / 2));
    while (offsets.has(offset)) offset = (offset % Math.floor(processes / 2)) + 1;
    offsets.add(offset);
  }
  for (let p = 0; p < processes; p++) for (const offset of offsets) connect(p, (p + offset) % processes);
}

const WIDTH = 24;

/** `[######------]  50 %`. @param part from 0 to 1 */
export function bar(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * WIDTH);
  return `[${'#'.repeat(full)}${'-'.repeat(WIDTH - full)}] ${Math.floor(part * 100)
    .toString()
    .padStart(3)} %`;
}

/**
 * Speed of the simulator against its aims (docs/overhead.md, "Speed"); `npm run bench -- simulator` has the same figures.
 * Run: `node dist/examples/bench-simulator/main.js [--json]`.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { MEASURED, measureApart, measureHere, type MeasuredName } from './measure.ts';

const { values } = parseArgs({ options: { one: { type: 'string' }, json: { type: 'boolean', default: false } } });
const names = Object.keys(MEASURED) as MeasuredName[];

if (values.one !== undefined) {
  const name = names.find((one) => one === values.one);
  if (name === undefined) throw new Error(`no measurement ${values.one}; there are ${names.join(', ')}`);
  process.stdout.write(`${JSON.stringify(measureHere(name))}\n`);
} else {
  const results = new Map<string, Awaited<ReturnType<typeof measureApart>>>();
  for (const name of names) results.set(name, await measureApart(name));
  if (values.json) process.stdout.write(`${JSON.stringify(Object.fromEntries(results))}\n`);
  else {
    const head = ['', 'set-up, s', 'run, s', 'peak, MB', 'events', 'µs per event', 'rounds'];
    const table = new Table({ head, style: { head: [], border: [] } });
    for (const [name, { setUpSeconds, runSeconds, peakMegabytes, events, microsecondsPerEvent, rounds }] of results) {
      const numbers = [setUpSeconds.toFixed(2), runSeconds.toFixed(2), peakMegabytes.toFixed(0), events];
      table.push([name, ...numbers, microsecondsPerEvent.toFixed(2), rounds]);
    }
    process.stdout.write(`${table.toString()}\n`);
  }
}

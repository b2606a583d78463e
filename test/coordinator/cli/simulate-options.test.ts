import { describe, expect, it } from 'vitest';
import { parseFuzzKind, parseRequest, parseSeeds } from '../../../coordinator/cli/simulate/options.ts';
import { SwarmcutError } from '../../../src/model/errors.ts';
import { DEFAULT_CONFIG, DEFAULT_COSTS } from '../../../src/simulator/world/config.ts';
import { simulatedAlgorithms } from '../../../src/simulator/families.ts';

function refusal(action: () => unknown): SwarmcutError {
  try {
    action();
  } catch (error) {
    if (error instanceof SwarmcutError) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('the options of simulate', () => {
  it('have defaults', () => {
    const { algorithms, config } = parseRequest({});
    expect(algorithms).toEqual(Object.keys(simulatedAlgorithms));
    expect(config).toEqual(DEFAULT_CONFIG);
  });

  it('are the same from the command line, as text, and from a file, as numbers', () => {
    const fromFile = { algorithm: ['sync', 'cic'], processes: 12, topology: 'ring', mtbf: '60s', loss: 0.1, seed: 7 };
    const fromLine = {
      ...Object.fromEntries(Object.entries(fromFile).map(([name, value]) => [name, String(value)])),
      algorithm: 'sync, cic',
    };
    expect(parseRequest(fromLine)).toEqual(parseRequest(fromFile));
    expect(parseRequest(fromFile).config).toMatchObject({
      processes: 12,
      topology: 'ring',
      seed: 7,
      faults: { mtbfSeconds: 60, loss: 0.1 },
    });
  });

  it.each([
    ['no', false],
    ['false', false],
    [false, false],
    ['yes', true],
    [true, true],
  ])('take %j for fifo', (fifo, wanted) => {
    expect(parseRequest({ fifo }).config.fifo).toBe(wanted);
  });

  it('take durations and sizes with their units, as all verbs do', () => {
    const { config } = parseRequest({
      duration: '20s',
      think: '0.5ms',
      latency: '200us',
      jitter: '0ms',
      interval: '1.5s',
      deadline: '2m',
      mtbf: '100s',
      messageSize: '1.5kB',
      stateSize: '20MB',
      bandwidth: '100MB/s',
    });
    expect(config).toMatchObject({
      durationMs: 20_000,
      thinkMs: 0.5,
      latencyMs: 0.2,
      jitterMs: 0,
      intervalMs: 1500,
      deadlineMs: 120_000,
      messageBytes: 1500,
      stateBytes: 20e6,
      bytesPerSecond: 1e8,
      faults: { mtbfSeconds: 100 },
    });
  });

  it('take single costs and keep the others', () => {
    expect(parseRequest({ costs: { dumpBaseMs: 7 } }).config.costs).toEqual({ ...DEFAULT_COSTS, dumpBaseMs: 7 });
  });

  it('name an algorithm once, however often it is asked for', () => {
    expect(parseRequest({ algorithm: 'cic,sync,cic' }).algorithms).toEqual(['cic', 'sync']);
  });

  it.each([2, 3, 4, 5, 6])('find a degree for %i processes', (processes) => {
    expect(parseRequest({ processes }).config.degree).toBeLessThan(Math.max(3, processes));
  });
});

describe('bad input names the field', () => {
  it.each([
    ['an unknown algorithm', { algorithm: 'sync,paxos' }, 'algorithm: there is no "paxos"'],
    ['no algorithm', { algorithm: [] }, 'algorithm:'],
    ['an algorithm that is no name', { algorithm: 5 }, 'algorithm:'],
    ['a negative rate', { mtbf: '-1' }, 'mtbf:'],
    ['a negative rate of partitions', { partitions: -0.5 }, 'partitions:'],
    ['a negative interval', { interval: '-5' }, 'interval:'],
    ['a rate that is no number', { agentCrashes: 'often' }, 'agentCrashes:'],
    ['an empty number', { reconnects: '' }, 'reconnects:'],
    ['a number that is missing in a file', { coordinatorCrashes: null }, 'coordinatorCrashes:'],
    ['a number that is infinite', { duration: 'Infinity' }, 'duration:'],
    ['no time to think', { think: '0ms' }, 'think:'],
    ['no simulated time', { duration: '0s' }, 'duration:'],
    ['a bandwidth that is a size', { bandwidth: '1GB' }, 'bandwidth:'],
    ['more loss than can be borne', { loss: 1 }, 'loss:'],
    ['one process', { processes: 1 }, 'processes:'],
    ['half a process', { processes: '2.5' }, 'processes:'],
    ['too many processes', { processes: 1e9 }, 'processes:'],
    ['a topology that does not exist', { topology: 'torus' }, 'topology:'],
    ['a behaviour that does not exist', { behaviour: 'lazy' }, 'behaviour:'],
    ['a distribution that does not exist', { jitterDistribution: 'normal' }, 'jitterDistribution:'],
    ['no bandwidth', { bandwidth: 0 }, 'bandwidth:'],
    ['an odd degree', { degree: 3 }, 'degree: 3'],
    ['more neighbours than processes', { processes: 6, degree: 8 }, 'degree: 6 processes cannot have 8'],
    ['too large a full graph', { processes: 5000, topology: 'full' }, 'topology: full'],
    ['too many channels', { processes: 100_000, degree: 40 }, 'degree: 100000 processes'],
    ['an order that is neither yes nor no', { fifo: 'perhaps' }, 'fifo:'],
    ['a seed that is too large', { seed: 2 ** 40 }, 'seed:'],
    ['an option that does not exist', { procesess: 5 }, 'procesess: there is no such option'],
    ['a cost that does not exist', { costs: { lunchMs: 5 } }, 'costs.lunchMs: there is no such option'],
    ['a negative cost', { costs: { blockMs: -1 } }, 'costs.blockMs:'],
  ])('%s', (_what, raw, message) => {
    const error = refusal(() => parseRequest(raw));
    expect(error.code).toBe('usage');
    expect(error.message.slice(0, message.length)).toBe(message);
    expect(error.advice).toBeTruthy();
  });

  it.each([
    [{ duration: '20' }, 'duration: 20 has no unit', 'did you mean 20s or 20ms?'],
    [{ duration: 20 }, 'duration: 20 has no unit', 'did you mean 20s or 20ms?'],
    [{ mtbf: 60 }, 'mtbf: 60 has no unit', 'did you mean 60s or 60ms?'],
    [{ latency: '0' }, 'latency: 0 has no unit', 'did you mean 0s or 0ms?'],
    [{ stateSize: 20e6 }, 'stateSize: 20000000 has no unit', 'did you mean 20000000B?'],
    [{ bandwidth: '1e9' }, 'bandwidth: 1e9 has no unit', 'did you mean 1000000000B/s?'],
    [{ duration: 'long' }, 'duration: "long" is no duration', 'write it like 500ms, 30s or 2m'],
    [{ messageSize: 'big' }, 'messageSize: "big" is no size', 'write it like 200B, 64kB or 20MB'],
  ])('%j has no unit that is known: a hint', (raw, message, advice) => {
    expect(refusal(() => parseRequest(raw))).toMatchObject({ code: 'usage', message, advice });
  });

  it.each(['0', '-3', '1.5', 'many', ''])('%j seeds', (text) => {
    expect(refusal(() => parseSeeds(text)).message).toMatch(/^fuzz: /);
  });

  it('a kind of hostile runs that does not exist', () => {
    expect(refusal(() => parseFuzzKind('nasty')).message).toMatch(/^fuzzKind: there is no "nasty"/);
    expect(parseFuzzKind(undefined)).toBe('mixed');
  });
});

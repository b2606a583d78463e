import { expect, it } from 'vitest';
import { healthCheckOf, type InspectedHealth } from '../../../../agent/runtime/docker/health.ts';

const S = 1_000_000_000;

function inspected(
  check: InspectedHealth['Config']['Healthcheck'],
  rest: { Shell?: string[]; Status?: string } = {},
): InspectedHealth {
  const { Shell, Status } = rest;
  return {
    Config: { Healthcheck: check, ...(Shell === undefined ? {} : { Shell }) },
    State: Status === undefined ? {} : { Health: { Status } },
  };
}

it.each([
  [{ Test: ['CMD', 'curl', '-f', 'x y'] }, {}, ['curl', '-f', 'x y']],
  [{ Test: ['CMD-SHELL', 'curl -f x'] }, {}, ['/bin/sh', '-c', 'curl -f x']],
  [{ Test: ['CMD-SHELL', 'x'] }, { Shell: ['/bin/bash', '-ec'] }, ['/bin/bash', '-ec', 'x']],
])('knows what the engine runs: %j %j', (check, rest, args) => {
  expect(healthCheckOf(inspected(check, rest))?.args).toEqual(args);
});

it.each([[undefined], [{}], [{ Test: [] }], [{ Test: ['NONE'] }]])('knows that nothing is checked: %j', (check) => {
  expect(healthCheckOf(inspected(check))).toBeUndefined();
});

it.each([
  ['starting', false],
  ['healthy', false],
  ['unhealthy', true],
  [undefined, false],
])('the last word: %s', (status, unhealthy) => {
  const rest = status === undefined ? {} : { Status: status };
  expect(healthCheckOf(inspected({ Test: ['CMD', 'x'] }, rest))?.unhealthy).toBe(unhealthy);
});

it('knows how long the engine may take for its first verdict, by its own defaults where nothing is said', () => {
  const Test = ['CMD', 'x'];
  const long = { Test, Interval: 70 * S, Timeout: 3 * S, Retries: 1, StartPeriod: 10 * S };
  expect(healthCheckOf(inspected(long))).toMatchObject({ timeoutMs: 3_000, verdictMs: 156_000 });
  expect(healthCheckOf(inspected({ Test }))).toMatchObject({ timeoutMs: 30_000, verdictMs: 240_000 });
  const zeros = { Test, Interval: 0, Timeout: 0, Retries: 0, StartPeriod: 0 };
  expect(healthCheckOf(inspected(zeros))).toMatchObject({ timeoutMs: 30_000, verdictMs: 240_000 });
});

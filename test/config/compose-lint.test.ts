import { expect, test } from 'vitest';
import { LINT_LIMITS, lintCompose } from '../../src/config/compose-lint.ts';

const lint = (text: string) =>
  lintCompose(text, { algorithms: ['lai-yang', 'sync', 'chandy-lamport'], proxied: ['chandy-lamport'] });

test('labels as maps and lists, on services and containers, each with its place', () => {
  const findings = lint(`services:
  a:
    image: x
    deploy:
      labels:
        swarmcut.algorithm: lai-yong
        com.example.swarmcut: fine
  b:
    labels:
      - com.example=1
      - swarmcut.algoritm=sync
      - "swarmcut.freeze-timeout=30"
`);
  expect(findings).toEqual([
    { line: 6, column: 9, service: 'a', message: 'there is no algorithm "lai-yong"', advice: 'did you mean lai-yang?' },
    {
      line: 11,
      column: 9,
      service: 'b',
      message: 'there is no label swarmcut.algoritm',
      advice: 'did you mean swarmcut.algorithm?',
    },
    {
      line: 12,
      column: 9,
      service: 'b',
      message: 'swarmcut.freeze-timeout is "30", which is no duration',
      advice: 'did you mean 30s or 30ms?',
    },
  ]);
});

test('services that disagree are told once, at the one that differs', () => {
  const findings = lint(`services:
  a: { deploy: { labels: { swarmcut.algorithm: sync } } }
  b: { labels: ["swarmcut.algorithm=sync"] }
  c:
    deploy:
      labels:
        swarmcut.algorithm: lai-yang
  d: { deploy: { labels: { swarmcut.algorithm: lai-yang } } }
`);
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({
    line: 7,
    column: 9,
    service: 'c',
    message: 'the services disagree about swarmcut.algorithm: sync: a, b; lai-yang: c, d',
  });
});

test('deploy labels win over container labels here too', () => {
  expect(
    lint(`services:
  a: { deploy: { labels: { swarmcut.algorithm: sync } }, labels: { swarmcut.algorithm: lai-yang } }
  b: { labels: { swarmcut.algorithm: sync } }
`),
  ).toEqual([]);
});

test('anchors and merges are followed to where the label stands', () => {
  const findings = lint(`x-labels: &labels
  swarmcut.external: never
x-service: &service
  deploy:
    labels: *labels
services:
  a:
    <<: *service
    image: x
  b:
    deploy:
      labels:
        <<: *labels
        swarmcut.external: close
`);
  // b overrides what it merges in, and then disagrees with a.
  expect(findings.map(({ line, service }) => ({ line, service }))).toEqual([
    { line: 2, service: 'a' },
    { line: 14, service: 'b' },
  ]);
});

test('variables are for the deployment to judge', () => {
  expect(lint('services: { a: { labels: { swarmcut.algorithm: "${ALGORITHM:-sync}" } } }')).toEqual([]);
});

test('text that is no compose file', () => {
  expect(lint('services:\n  a: [unclosed\n')[0]).toMatchObject({
    message: expect.stringContaining('not YAML') as string,
  });
  expect(lint('version: "3"\n')).toMatchObject([{ line: 1, message: 'there are no services' }]);
  expect(lint('')).toMatchObject([{ message: 'there are no services' }]);
});

test('a proxy algorithm on the service alone, or on some services only, is a warning', () => {
  const findings = lint(`services:
  a:
    labels: { swarmcut.algorithm: chandy-lamport }
  b:
    deploy:
      labels:
        swarmcut.algorithm: chandy-lamport
  c:
    deploy: { labels: { swarmcut.algorithm: chandy-lamport } }
    labels: { swarmcut.algorithm: chandy-lamport }
  d:
    image: x
`);
  expect(findings.map(({ line, service, warning }) => ({ line, service, warning }))).toEqual([
    { line: 7, service: 'b', warning: true },
    { line: 11, service: 'd', warning: true },
  ]);
  expect(findings[0]?.message).toContain('coordinator attach');
  expect(findings[1]?.advice).toBe('add swarmcut.algorithm: chandy-lamport under labels');
});

test('services without sidecars are warned of nothing', () => {
  expect(lint('services: { a: { deploy: { labels: { swarmcut.algorithm: sync } } }, b: { image: x } }')).toEqual([]);
});

test('an anchor that merges itself is told, whatever the way round', () => {
  const own = lint('services:\n  a: &a\n    <<: *a\n    labels: { swarmcut.algorithm: sync }\n');
  expect(own).toMatchObject([{ line: 3, column: 9, message: 'the anchor *a is merged into itself' }]);
  const round = lint('x-a: &a { b: &b { <<: *a }, <<: *b }\nservices: { s: { <<: *a } }\n');
  expect(round).toMatchObject([{ line: 1, message: expect.stringContaining('merged into itself') as string }]);
});

test('an alias stands for the anchor before it, also when the name is used again', () => {
  const findings = lint(`x-1: &labels { swarmcut.external: never }
services:
  a: { labels: *labels }
x-2: &labels { swarmcut.external: close }
`);
  expect(findings).toMatchObject([{ line: 1, service: 'a' }]);
});

test('a key that stands twice in a map is told where it stands again', () => {
  expect(lint('services:\n  a: { image: x }\n  b: {}\n  a: {}\n')).toMatchObject([
    { line: 4, column: 3, message: 'not YAML: the key a stands twice in this map' },
  ]);
});

test('a file that is too long is refused, and so is one that is nested too deeply', () => {
  expect(lint(`services: {}\n#${'x'.repeat(LINT_LIMITS.bytes)}`)).toMatchObject([
    { line: 1, message: 'the file is longer than 1 MiB' },
  ]);
  for (const { message } of lint(`services: ${'{a: '.repeat(50_000)}`)) expect(message).toMatch(/^not YAML|nested/);
  const merged = Array.from({ length: 9_000 }, (_, i) => `x${i}: &x${i} { <<: *x${i - 1} }\n`).slice(1);
  expect(lint(`x0: &x0 {}\n${merged.join('')}services: { a: { <<: *x8999 } }`)).toEqual([
    { line: 1, column: 1, message: expect.stringContaining('nested too deeply') as string },
  ]);
});

test('merges that multiply are refused', () => {
  // Each map has the keys of all before it: 5000 of them are 12 million entries.
  const labels = Array.from(
    { length: 5_000 },
    (_, i) => `x${i}: &x${i} { k${i}: 1${i === 0 ? '' : `, <<: *x${i - 1}`} }\n`,
  );
  const uses = Array.from({ length: 5_000 }, (_, i) => `  s${i}: { labels: *x${i} }\n`);
  expect(lint(`${labels.join('')}services:\n${uses.join('')}`)).toMatchObject([
    { message: expect.stringMatching(/merge|nested/) as string },
  ]);
  // Nine times nine times nine …: but every map is merged once.
  const laughs = Array.from({ length: 12 }, (_, i) => `x${i + 1}: &x${i + 1} { <<: [${`*x${i},`.repeat(9)}] }\n`);
  expect(lint(`x0: &x0 { image: x }\n${laughs.join('')}services: { a: { <<: *x12 } }`)).toEqual([]);
});

test(
  'as many services as fit into a file take seconds: with the square of their number it would be minutes',
  { timeout: 240_000 },
  () => {
    const services = Array.from({ length: 70_000 }, (_, i) => `  s${i}: {}\n`).join('');
    // Of the processor, not of the clock: other tests run beside this one.
    const before = process.cpuUsage();
    expect(lint(`services:\n${services}`)).toEqual([]);
    const { user } = process.cpuUsage(before);
    expect(user / 1e6).toBeLessThan(30);
  },
);

test('many findings are cut short, and so are long values', () => {
  const findings = lint(
    `services:\n${Array.from({ length: 2_000 }, (_, i) => `  s${i}: { labels: { swarmcut.algorithm: x } }\n`).join('')}`,
  );
  expect(findings).toHaveLength(LINT_LIMITS.findings + 1);
  expect(findings.at(-1)?.message).toBe('1000 findings more are not shown');
  const [finding] = lint(`services: { a: { labels: { swarmcut.external: ${'x'.repeat(10_000)} } } }`);
  expect(finding?.message.length).toBeLessThan(200);
});

test('services that disagree are named, but not thousands of them', () => {
  const [finding] = lint(
    `services:\n${Array.from({ length: 1_000 }, (_, i) => `  s${i}: { labels: { swarmcut.algorithm: ${i < 500 ? 'sync' : 'lai-yang'} } }\n`).join('')}`,
  );
  expect(finding?.message).toContain('sync: s0, s1, s2, s3, s4, s5, s6, s7 and 492 more; lai-yang: s500');
});

test('control bytes of values and names are written out', () => {
  const text = lint('services: { "a\\e[2J": { labels: { swarmcut.external: "\\e]0;x\\a" } } }')
    .map(({ message }) => message)
    .join('\n');
  expect(text).not.toMatch(/\p{Cc}/u);
  expect(text).toContain('\\x1b]0;x\\x07');
});

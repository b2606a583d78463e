import { expect, test } from 'vitest';
import { lintCompose } from '../../src/config/compose-lint.ts';

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

import { expect, test } from 'vitest';
import type { NodeInfo } from '../../../coordinator/operations/index.ts';
import { checkText } from '../../../coordinator/cli/verbs/check.ts';

function info(node: string, checks: Extract<NodeInfo, { checks: unknown }>['checks']): NodeInfo {
  return {
    node,
    version: '0.1.0',
    kernel: '6.18',
    criu: '4.2.1',
    runc: '1.1.15',
    engine: '26.1.5',
    cgroupVersion: 2,
    shimInstalled: true,
    memoryAvailableBytes: 1,
    diskAvailableBytes: 1,
    memDirtyTrack: false,
    agentRssBytes: 1,
    checks,
  };
}

test('nodes across, checks down, and advice for each cell that is not green', () => {
  const text = checkText([
    info('n1', [{ name: 'criu', verdict: 'OK', found: '4.2.1', advice: '' }]),
    info('n2', [
      { name: 'criu', verdict: 'FAILED', found: '4.1.1', advice: 'install CRIU 4.2 or later' },
      { name: 'pre-dump', verdict: 'WARNING', found: 'off', advice: '' },
    ]),
    { node: 'n3', error: 'connection refused' },
  ]);
  expect(text.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['CHECK', 'n1', 'n2', 'n3'],
    ['agent', '✔ 0.1.0', '✔ 0.1.0', '✘ no answer'],
    ['criu', '✔ 4.2.1', '✘ 4.1.1', '-'],
    ['pre-dump', '-', '! off', '-'],
    [''],
    ['n2: criu: 4.1.1'],
    ['', '→ install CRIU 4.2 or later'],
    ['n2: pre-dump: off'],
    ['n3: the agent does not answer: connection refused'],
    ['', '→ is it running there? `systemctl status swarmcut-agent`'],
  ]);
});

test('a certificate that has expired is not an agent that does not answer', () => {
  const text = checkText([{ node: 'n1', error: 'the certificate of node n1 expired at noon\nrenew it' }]);
  expect(text).toContain('✘ certificate');
  expect(text).toContain('n1: the certificate of node n1 expired at noon\n    → renew it');
  expect(text).not.toContain('answer');
});

test('when all is well, it says so', () => {
  expect(checkText([info('n1', [{ name: 'criu', verdict: 'OK', found: '4.2.1', advice: '' }])])).toContain(
    'the node is ready',
  );
});

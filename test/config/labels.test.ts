import { describe, expect, test } from 'vitest';
import { stackSettings } from '../../src/config/labels.ts';
import type { ServiceLabels, StackSettings } from '../../src/config/labels.ts';

const defaults: StackSettings = {
  algorithm: 'lai-yang',
  external: 'close',
  freezeTimeoutMs: 60_000,
  encrypt: 'optional',
};
const context = { algorithms: ['lai-yang', 'sync'], defaults };

function service(
  name: string,
  deploy: Record<string, string> = {},
  container: Record<string, string> = {},
): ServiceLabels {
  return { service: name, deploy, container };
}

describe('settings of a stack', () => {
  test('without labels: the defaults', () => {
    expect(stackSettings('bank', [service('bank_a', { 'com.example': '1' })], context)).toEqual(defaults);
  });

  test('one service that speaks decides for those that are silent', () => {
    const services = [
      service('bank_a'),
      service('bank_b', {
        'swarmcut.algorithm': 'sync',
        'swarmcut.external': 'refuse',
        'swarmcut.freeze-timeout': '1.5s',
        'swarmcut.encrypt': 'required',
      }),
    ];
    expect(stackSettings('bank', services, context)).toEqual({
      algorithm: 'sync',
      external: 'refuse',
      freezeTimeoutMs: 1500,
      encrypt: 'required',
    });
  });

  test('container labels count; deploy labels win over them', () => {
    expect(stackSettings('s', [service('a', {}, { 'swarmcut.algorithm': 'sync' })], context).algorithm).toBe('sync');
    const both = service('a', { 'swarmcut.algorithm': 'lai-yang' }, { 'swarmcut.algorithm': 'sync' });
    expect(stackSettings('s', [both], context).algorithm).toBe('lai-yang');
  });

  test('services that disagree are named with what they say', () => {
    const services = [
      service('bank_a', { 'swarmcut.algorithm': 'sync' }),
      service('bank_b', { 'swarmcut.algorithm': 'lai-yang' }),
      service('bank_c', {}, { 'swarmcut.algorithm': 'sync' }),
    ];
    expect(() => stackSettings('bank', services, context)).toThrow(
      expect.objectContaining({
        code: 'conflict',
        message: expect.stringContaining('sync: bank_a, bank_c; lai-yang: bank_b') as string,
      }),
    );
  });

  test('the same duration written differently is agreement', () => {
    const services = [
      service('a', { 'swarmcut.freeze-timeout': '30s' }),
      service('b', { 'swarmcut.freeze-timeout': '0.5m' }),
    ];
    expect(stackSettings('s', services, context).freezeTimeoutMs).toBe(30_000);
  });

  test.each([
    ['swarmcut.algorithm', 'lai-yong', 'did you mean lai-yang?'],
    ['swarmcut.algorithm', 'paxos', 'known are lai-yang, sync'],
    ['swarmcut.algoritm', 'sync', 'did you mean swarmcut.algorithm?'],
    ['swarmcut.external', 'closed', 'did you mean close?'],
    ['swarmcut.freeze-timeout', '30', 'did you mean 30s or 30ms?'],
    ['swarmcut.freeze-timeout', 'soon', 'write it like 500ms, 30s or 2m'],
    ['swarmcut.freeze-timeout', '0s', 'write it like 500ms, 30s or 2m'],
    ['swarmcut.freeze-timeout', '11m', 'at most 10m'],
    ['swarmcut.encrypt', 'require', 'did you mean required?'],
    ['swarmcut.encrypt', 'yes', 'known are required, optional'],
  ])('%s: %s is refused: %s', (label, value, advice) => {
    expect(() => stackSettings('bank', [service('bank_a', { [label]: value })], context)).toThrow(
      expect.objectContaining({ code: 'usage', where: { stack: 'bank', service: 'bank_a' }, advice }),
    );
  });
});

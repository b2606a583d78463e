import { expect, test } from 'vitest';
import { field, listField, optionalField } from '../../../src/rpc/control/fields.ts';

test('fields of the kind that is asked for', () => {
  const params = { epoch: 0, folder: '', keepFrozen: false, ports: [80], plan: {} };
  expect(field(params, 'epoch', 'number')).toBe(0);
  expect(field(params, 'folder', 'string')).toBe('');
  expect(field(params, 'keepFrozen', 'boolean')).toBe(false);
  expect(field(params, 'plan', 'object')).toEqual({});
  expect(optionalField(params, 'missing', 'number')).toBeUndefined();
  expect(listField(params, 'ports', 'number')).toEqual([80]);
  expect(listField(params, 'missing', 'number')).toEqual([]);
});

test.each([
  ['no object', undefined, 'epoch'],
  ['nothing', null, 'epoch'],
  ['not there', {}, 'epoch'],
  ['another kind', { epoch: '1' }, 'epoch'],
  ['null', { epoch: null }, 'epoch'],
])('%s: the error names the field', (_, params, name) => {
  expect(() => field(params, name, 'number')).toThrow(name);
});

test.each([
  ['no list', { ports: {} }],
  ['one of another kind in it', { ports: [80, '81'] }],
  ['null in it', { ports: [null] }],
])('%s: the error names the list', (_, params) => {
  expect(() => listField(params, 'ports', 'number')).toThrow('ports');
  expect(() => listField(params, 'ports', 'object')).toThrow('ports');
});

import { expect, test } from 'vitest';
import { brokenRules, unknownField } from '../../../src/model/manifests/manifest-rules.ts';
import { assertStackName, isStackName } from '../../../src/model/stack-name.ts';
import { manifestOf, taskOf } from '../../storage/manifest.ts';

const task = taskOf('bank_a', '10.0.1.2', '10.0.1.3');
const [part] = task.parts;
if (part === undefined) throw new Error('fixture');

test.each([
  ['no tasks', { tasks: [] }, 'tasks'],
  ['an empty stack', { stack: '' }, 'stack'],
  ['a stack that is a path', { stack: '../bank' }, 'stack'],
  ['an odd id', { id: '../../etc' }, 'id'],
  ['a task twice', { tasks: [task, task] }, 'tasks.1'],
  ['a part twice', { tasks: [{ ...task, parts: [part, part] }] }, 'tasks.0.parts.1'],
  ['a task without parts', { tasks: [{ ...task, parts: [] }] }, 'tasks.0.parts'],
  ['a task of no service', { services: [] }, 'tasks.0.task.service'],
  ['an empty node', { tasks: [{ ...task, node: '' }] }, 'tasks.0.node'],
  ['an empty slot', { tasks: [{ ...task, task: { ...task.task, slot: '' } }] }, 'tasks.0.task.slot'],
  [
    'an odd container',
    { tasks: [{ ...task, task: { ...task.task, containerId: '../x' } }] },
    'tasks.0.task.containerId',
  ],
  ['no id of a task', { tasks: [{ ...task, task: { ...task.task, taskId: '' } }] }, 'tasks.0.task.taskId'],
])('%s breaks a rule', (_, changes, field) => {
  expect(brokenRules(manifestOf(changes)).map(({ path }) => path.join('.'))).toContain(field);
});

test('a service twice', () => {
  const { services } = manifestOf();
  expect(brokenRules(manifestOf({ services: [...services, ...services] }))).toHaveLength(1);
});

test('what a snapshot has breaks none; slots of global services are host names', () => {
  expect(brokenRules(manifestOf())).toEqual([]);
  const global = { ...task, task: { ...task.task, slot: 'node-1.example.org' } };
  expect(brokenRules(manifestOf({ tasks: [task, global] }))).toEqual([]);
});

test('a field that the schema does not know is found at any depth; free-form ones are not looked into', () => {
  const parsed = { a: 1, list: [{ b: 2 }], spec: { X: 1 } };
  expect(unknownField(parsed, parsed)).toBeUndefined();
  expect(unknownField({ ...parsed, list: [{ b: 2, c: 3 }] }, parsed)).toBe('list.0.c');
  expect(unknownField({ ...parsed, z: 1 }, parsed)).toBe('z');
});

test.each(['', ' ', '.', '-x', 'a/b', 'a b', 'a=b', 'a\n', 'a\0', '\u001b[1m', 'x'.repeat(64)])(
  '%j is the name of no stack',
  (name) => {
    expect(isStackName(name)).toBe(false);
    expect(() => assertStackName(name)).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

test.each(['bank', 'bank_branch-a', 'a.b', '0', 'x'.repeat(63)])('%j may be one', (name) => {
  expect(() => assertStackName(name)).not.toThrow();
});

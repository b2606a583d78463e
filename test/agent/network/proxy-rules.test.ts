import { describe, expect, test } from 'vitest';
import { MARKS } from '../../../agent/linux/proxy-table.ts';
import { attachScript, routeLines } from '../../../agent/network/proxy-rules.ts';

describe('rules of the proxy interceptor', () => {
  test('what the sidecar sends is never taken for what its application sends', () => {
    const rules = attachScript().split('\n');
    const exempt = rules.findIndex((rule) => rule.includes(`out meta mark { ${MARKS.sidecar}, ${MARKS.app}, `));
    expect(exempt).toBeGreaterThan(0);
    expect(rules.findIndex((rule) => rule.includes(' @restored '))).toBeGreaterThan(exempt);
    expect(routeLines().filter((line) => line.includes(`fwmark ${MARKS.app} `))).toHaveLength(1);
  });
});

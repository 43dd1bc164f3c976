import { expect, test } from 'vitest';
import { concat, elem, prefix, range } from './expr.ts';
import type { SetElement } from './grammar.ts';
import { intervalOverlaps } from './interval.ts';

const row = (name: string, a: SetElement, b: SetElement, overlaps: boolean): object => ({ name, a, b, overlaps });

test.each([
  row('an address in a block', '10.1.2.3', prefix('10.0.0.0', 8), true),
  row('an address behind a block', '11.0.0.0', prefix('10.0.0.0', 8), false),
  row('the last address of a block', '10.255.255.255', prefix('10.0.0.0', 8), true),
  row('ranges that touch', range('10.0.0.1', '10.0.0.5'), range('10.0.0.5', '10.0.0.9'), true),
  row('ranges that do not touch', range(1, 4), range(5, 9), false),
  row('an IPv6 address in a block', 'fd00::1:2', prefix('fd00::', 64), true),
  row('an IPv6 address outside a block', 'fd00:0:0:1::1', prefix('fd00::', 64), false),
  row('a full IPv6 address', 'fd00:0:0:0:0:0:0:1', prefix('fd00::', 126), true),
  row('everything', prefix('0.0.0.0', 0), '255.255.255.255', true),
  row('all fields', concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90)), concat('10.0.0.1', 'tcp', 85), true),
  row('all fields but one', concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90)), concat('10.0.0.1', 'udp', 85), false),
  row('elements with options', elem('10.0.0.1', { timeout: 5 }), prefix('10.0.0.0', 24), true),
])('$name overlap: $overlaps', (given) => {
  const { a, b, overlaps } = given as { readonly a: SetElement; readonly b: SetElement; readonly overlaps: boolean };
  expect(intervalOverlaps(a, [{ key: b }])).toBe(overlaps);
  expect(intervalOverlaps(b, [{ key: a }])).toBe(overlaps);
});

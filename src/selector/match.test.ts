import { describe, expect, test } from 'vitest';

import { toLabelSelector } from '../model/label-selector.ts';
import type { Requirement } from '../model/label-selector.ts';
import { namespaceName } from '../model/names.ts';
import { matches, matchesRequirement, matchNamespace } from './match.ts';

function requirement(key: string, operator: Requirement['operator'], ...values: string[]): Requirement {
  return { key, operator, values, origin: { kind: 'matchExpressions', index: 0 } };
}

const states: Readonly<Record<string, ReadonlyMap<string, string>>> = {
  absent: new Map([['other', 'a']]),
  empty: new Map([['app', '']]),
  listed: new Map([['app', 'a']]),
  'another value': new Map([['app', 'b']]),
};

describe('a requirement', () => {
  test.each<[Requirement['operator'], readonly string[], readonly string[]]>([
    ['In', ['a'], ['listed']],
    ['In', ['', 'a'], ['empty', 'listed']],
    ['NotIn', ['a'], ['absent', 'empty', 'another value']],
    ['NotIn', [''], ['absent', 'listed', 'another value']],
    ['Exists', [], ['empty', 'listed', 'another value']],
    ['DoesNotExist', [], ['absent']],
  ])('%s %j holds for a key that is: %j (semantics 27, 28)', (operator, values, expected) => {
    const holding = Object.keys(states).filter((name) =>
      matchesRequirement(requirement('app', operator, ...values), states[name]!),
    );
    expect(holding).toEqual(expected);
  });
});

describe('a selector', () => {
  const labels = new Map([
    ['app', 'a'],
    ['tier', 'x'],
  ]);

  test('matches if all its requirements hold, also several on one key (semantics 26)', () => {
    const selector = (...requirements: Requirement[]) => matches(toLabelSelector(requirements), labels);
    expect(selector(requirement('app', 'In', 'a'), requirement('tier', 'Exists'))).toBe(true);
    expect(selector(requirement('app', 'In', 'a'), requirement('tier', 'DoesNotExist'))).toBe(false);
    expect(selector(requirement('app', 'In', 'a', 'b'), requirement('app', 'NotIn', 'a'))).toBe(false);
  });

  test('without requirements matches everything (semantics 21)', () => {
    expect(matches(toLabelSelector([]), new Map())).toBe(true);
  });
});

describe('of a namespace nobody has seen', () => {
  const name = namespaceName('ghost');
  const ask = (...requirements: Requirement[]) => matchNamespace(toLabelSelector(requirements), name, undefined);
  const named = (...values: string[]) => requirement('kubernetes.io/metadata.name', 'In', ...values);

  test('the name is known (semantics 24)', () => {
    expect([ask(named('ghost')), ask(named('x')), ask()]).toEqual(['yes', 'no', 'yes']);
  });

  test('labels are not, unless the name decides', () => {
    expect(ask(requirement('team', 'In', 'a'))).toBe('unknown');
    expect(ask(requirement('team', 'DoesNotExist'))).toBe('unknown');
    expect(ask(requirement('team', 'In', 'a'), named('x'))).toBe('no');
    expect(ask(requirement('team', 'In', 'a'), named('ghost'))).toBe('unknown');
  });

  test('a namespace without labels is another matter', () => {
    const selector = toLabelSelector([requirement('team', 'Exists')]);
    expect(matchNamespace(selector, name, new Map())).toBe('no');
  });
});

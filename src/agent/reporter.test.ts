import { expect, test } from 'vitest';

import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import type { Logger } from './logger.ts';
import { Reporter } from './reporter.ts';

test('a cluster that changes all the time, and a stranger who does, fill no disk', () => {
  const lines: string[] = [];
  const log = (_: object, message: string): void => void lines.push(message);
  const reporter = new Reporter({ debug: log, info: log, warn: log, error: log } satisfies Logger);
  for (let count = 1; count <= 10_000; count += 1) {
    const status: EnforcerStatus = {
      desiredGeneration: count,
      appliedGeneration: count,
      lastApply: { ok: true, at: 0 },
      problems: [],
      driftRepaired: count,
      tables: ['inet'],
      verifiedAt: 0,
    };
    reporter.enforcer(status);
  }
  expect(lines.slice(0, 2)).toEqual(['the tables were changed by somebody else; repaired', 'applied']);
  expect(lines.length).toBeLessThan(1_000);
});

import { expect, test } from 'vitest';
import {
  NftError,
  classifyStderr,
  isBusy,
  isExists,
  isFull,
  isInvalid,
  isNotFound,
  isOutcomeUnknown,
} from './errors.ts';

const kernel = 'internal:0:0-0: Error: Could not process rule: ';

test.each([
  { stderr: `${kernel}No such file or directory\n`, code: 'not-found' },
  {
    stderr: 'internal:0:0-0: Error: No such file or directory; did you mean chain ‘c’ in table inet ‘t’?\n',
    code: 'not-found',
  },
  { stderr: 'Error: No such file or directory\nlist table inet t\n                ^\n', code: 'not-found' },
  { stderr: `${kernel}File exists\n`, code: 'exists' },
  {
    stderr: `internal:0:0-0: Error: Chain "b" already exists in table inet 't' with different declaration\n`,
    code: 'exists',
  },
  { stderr: `${kernel}Device or resource busy\n`, code: 'busy' },
  { stderr: `${kernel}Too many open files in system\n`, code: 'full' },
  { stderr: `${kernel}Operation not permitted (you must be root)\n`, code: 'permission' },
  { stderr: 'Operation not permitted (you must be root)\n', code: 'permission' },
  { stderr: `${kernel}Operation not supported\n`, code: 'unsupported' },
  { stderr: `${kernel}Protocol error\n`, code: 'unsupported' },
  { stderr: `${kernel}Too many links\n`, code: 'invalid' },
  { stderr: `${kernel}Numerical result out of range\n`, code: 'invalid' },
  { stderr: 'internal:0:0-0: Error: Unknown object passed to add command.\n', code: 'invalid' },
  { stderr: "internal:0:0-0: Error: You must add 'flags interval' to your set declaration\n", code: 'invalid' },
  { stderr: `${kernel}Something new\n`, code: 'unknown' },
  { stderr: 'Cannot open network namespace "x": No such file or directory\n', code: 'unknown' },
  { stderr: 'Error: Could not open file "x": No such file or directory\n', code: 'unknown' },
  { stderr: '', code: 'unknown' },
])('$stderr is $code', ({ stderr, code }) => {
  expect(classifyStderr(stderr)).toBe(code);
});

test.each([
  { predicate: isNotFound, codes: ['not-found'] },
  { predicate: isExists, codes: ['exists'] },
  { predicate: isBusy, codes: ['busy'] },
  { predicate: isInvalid, codes: ['invalid'] },
  { predicate: isFull, codes: ['full'] },
  { predicate: isOutcomeUnknown, codes: ['timeout', 'crashed', 'mixed-versions'] },
])('$predicate.name holds for $codes only', ({ predicate, codes }) => {
  const all = [
    'not-found',
    'exists',
    'busy',
    'invalid',
    'full',
    'timeout',
    'crashed',
    'mixed-versions',
    'unknown',
    'permission',
  ] as const;
  expect(all.filter((code) => predicate(new NftError('', { code })))).toEqual(codes);
  expect(predicate(new Error('not-found'))).toBe(false);
});

test('an error keeps its cause and its facts', () => {
  const cause = new Error('inner');
  const error = new NftError('outer', { code: 'busy', commandIndex: 3, stderr: 'text', cause });
  expect(error).toMatchObject({ name: 'NftError', code: 'busy', commandIndex: 3, stderr: 'text', cause });
});

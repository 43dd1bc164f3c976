import { expect, test } from 'vitest';

import {
  isExpired,
  isVersionTooLarge,
  readRefusal,
  readRetryAfter,
  readStatus,
  refusesWatchList,
} from './api-status.ts';

test.each([
  { name: 'seconds', value: '7', expected: 7000 },
  { name: 'a date', value: 'Thu, 01 Jan 1970 00:00:12 GMT', expected: 2000 },
  { name: 'a date that has passed', value: 'Thu, 01 Jan 1970 00:00:01 GMT', expected: 0 },
  { name: 'neither', value: 'soon', expected: undefined },
  { name: 'nothing', value: undefined, expected: undefined },
])('Retry-After with $name', ({ value, expected }) => {
  expect(readRetryAfter(value, 10_000)).toBe(expected);
});

test('the page of a proxy is a refusal with its text as message', () => {
  const status = readRefusal(502, {}, Buffer.from('<html>Bad Gateway</html>'), 0);
  expect(status).toEqual({ code: 502, reason: '', message: '<html>Bad Gateway</html>', causes: [] });
});

test('the header says how long to wait before the body does', () => {
  const body = Buffer.from(JSON.stringify({ details: { retryAfterSeconds: 1 } }));
  expect(readRefusal(429, { 'retry-after': '5' }, body, 0).retryAfterMs).toBe(5000);
  expect(readRefusal(429, {}, body, 0).retryAfterMs).toBe(1000);
});

test('Expired is known by code and by reason', () => {
  expect(isExpired(readStatus({ code: 410 }))).toBe(true);
  expect(isExpired(readStatus({ reason: 'Expired' }))).toBe(true);
  expect(isExpired(readStatus({ code: 500, reason: 'InternalError' }))).toBe(false);
});

test('a version from the future is known by its cause', () => {
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  expect(isVersionTooLarge(readStatus({ code: 504, reason: 'Timeout', details: { causes } }))).toBe(true);
  expect(isVersionTooLarge(readStatus({ code: 504, reason: 'Timeout' }))).toBe(false);
});

test('only a refusal that names sendInitialEvents is about streamed lists', () => {
  expect(refusesWatchList(readStatus({ code: 422, message: 'sendInitialEvents: Forbidden' }))).toBe(true);
  expect(refusesWatchList(readStatus({ code: 422, message: 'fieldSelector: Invalid' }))).toBe(false);
  expect(refusesWatchList(readStatus({ code: 500, message: 'sendInitialEvents' }))).toBe(false);
});

test.each([
  null,
  undefined,
  17,
  'text',
  [],
  { details: null },
  { details: { causes: 'x' } },
  { details: { causes: [null] } },
])('any value is some status: %j', (value) => {
  expect(readStatus(value, 500)).toMatchObject({ code: 500, reason: '', message: '' });
});

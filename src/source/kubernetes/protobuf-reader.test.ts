import { describe, expect, test } from 'vitest';

import { FrameError } from './codec.ts';
import { message, Reader, shape, sharedStringMap, text } from './protobuf-reader.ts';

const field = (number: number, content: string | Buffer): Buffer => {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
};
const entry = (key: string, value: string): Buffer => field(11, Buffer.concat([field(1, key), field(2, value)]));

const inner = shape({ 1: text('name'), 11: sharedStringMap('labels', 11) });
const outer = shape({ 1: message('metadata', inner), 11: text('other') });

function read(...parts: readonly Buffer[]): Record<string, unknown> {
  const bytes = Buffer.concat(parts);
  return new Reader(bytes).message(bytes.length, outer);
}

function labelsOf(...parts: readonly Buffer[]): Record<string, unknown> {
  const { metadata } = read(field(1, Buffer.concat(parts))) as { readonly metadata: Record<string, unknown> };
  return metadata['labels'] as Record<string, unknown>;
}

describe('maps that are looked up by their bytes', () => {
  test('of the same bytes are the same, and cannot change', () => {
    const one = labelsOf(field(1, 'a'), entry('app', 'web'), entry('tier', 'front'));
    expect(one).toEqual({ app: 'web', tier: 'front' });
    expect(labelsOf(field(1, 'b'), entry('app', 'web'), entry('tier', 'front'))).toBe(one);
    expect(Object.isFrozen(one)).toBe(true);
    expect(labelsOf(entry('app', 'web'), entry('tier', 'back'))).toEqual({ app: 'web', tier: 'back' });
    expect(labelsOf(entry('app', 'web'))).toEqual({ app: 'web' });
  });

  test('are told apart where only the first length differs', () => {
    // An entry that holds an unknown field 11, and two entries, are the same bytes behind the first length.
    const nested = field(11, Buffer.concat([field(1, 'app'), entry('tier', 'front')]));
    const apart = Buffer.concat([field(11, field(1, 'app')), entry('tier', 'front')]);
    expect(nested.subarray(2)).toEqual(apart.subarray(2));
    expect(labelsOf(nested)).toEqual({ app: '' });
    expect(labelsOf(apart)).toEqual({ app: '', tier: 'front' });
    expect(labelsOf(nested)).toEqual({ app: '' });
  });

  test('may come in pieces, and leave what was given out before as it is', () => {
    const first = labelsOf(entry('app', 'web'));
    expect(labelsOf(entry('app', 'web'), field(1, 'a'), entry('app', 'api'), entry('tier', 'front'))).toEqual({
      app: 'api',
      tier: 'front',
    });
    expect(first).toEqual({ app: 'web' });
    expect(labelsOf(entry('app', 'web'))).toBe(first);
  });

  test('end with their message, whatever follows it', () => {
    expect(read(field(1, entry('app', 'web')), field(11, 'next'))).toEqual({
      metadata: { labels: { app: 'web' } },
      other: 'next',
    });
  });

  test('that are cut short are no message', () => {
    const whole = Buffer.concat([entry('app', 'web'), entry('tier', 'front')]);
    for (const length of [whole.length - 1, whole.length - 5, entry('app', 'web').length + 1])
      expect(() => labelsOf(whole.subarray(0, length)), String(length)).toThrow(FrameError);
  });
});

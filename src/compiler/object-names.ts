import { createHash } from 'node:crypto';

import type { IpFamily } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';

/** `4` or `6`: the suffix of every object that holds one family. */
export function familyDigit(family: IpFamily): '4' | '6' {
  return family === 'IPv4' ? '4' : '6';
}

/** The chain of one direction of the pod behind a host interface. */
export function podChainName(interfaceName: string, direction: Direction): string {
  const readable = /^[A-Za-z0-9_.-]+$/.test(interfaceName) ? interfaceName : `x${digest(interfaceName)}`;
  return `pod-${readable}-${direction}`;
}

/**
 * A readable, stable name for an object defined by its content: `<kind>-<slug>-<digest>-<4|6>`. Only the digest
 * (128 bits of SHA-256) identifies; the slug is for people. Without a family there is no suffix.
 */
export function contentName(kind: string, words: readonly string[], canonical: string, family?: IpFamily): string {
  const slug = slugOf(words);
  return [kind, slug, digest(canonical), family === undefined ? '' : familyDigit(family)]
    .filter((part) => part !== '')
    .join('-');
}

function slugOf(words: readonly string[]): string {
  return words
    .join('-')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

import { isStrictlyInside, parseCidr } from '../cidr.ts';
import type { Cidr } from '../cidr.ts';
import type { IpBlock } from '../policy.ts';
import type { FieldPath } from '../source-ref.ts';
import { onlyKnownFields, wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { field, isRawList, isRawObject, showText } from './raw-value.ts';

const effect = 'This peer matches nothing.';

/**
 * Reads an `ipBlock` that is given. `undefined`: some part is refused. A refused `except` entry refuses the whole
 * block: without the hole it would admit more than written (semantics 84).
 */
export function decodeIpBlock(raw: unknown, path: FieldPath, findings: Findings): IpBlock | undefined {
  if (!isRawObject(raw)) {
    wrongType(path, 'a map with cidr and except', raw, effect, findings);
    return undefined;
  }
  const clean = onlyKnownFields(raw, { place: 'an ipBlock', known: ['cidr', 'except'], effect }, path, findings);
  const cidr = decodeCidr(field(raw, 'cidr'), [...path, 'cidr'], findings);
  const except = decodeExcept(field(raw, 'except'), cidr, [...path, 'except'], findings);
  return clean && cidr !== undefined && except !== undefined ? { cidr, except } : undefined;
}

function decodeExcept(
  raw: unknown,
  cidr: Cidr | undefined,
  path: FieldPath,
  findings: Findings,
): IpBlock['except'] | undefined {
  if (raw === undefined) return [];
  if (!isRawList(raw)) {
    wrongType(path, 'a list of blocks', raw, effect, findings);
    return undefined;
  }
  const except: { readonly cidr: Cidr; readonly index: number }[] = [];
  for (const [index, entry] of raw.entries()) {
    const at = [...path, index];
    const hole = decodeCidr(entry ?? undefined, at, findings);
    if (hole === undefined) continue;
    if (cidr === undefined || checkInside(hole, cidr, at, findings)) except.push({ cidr: hole, index });
  }
  return except.length === raw.length ? except : undefined;
}

function checkInside(hole: Cidr, cidr: Cidr, path: FieldPath, findings: Findings): boolean {
  if (isStrictlyInside(hole, cidr)) return true;
  const why =
    hole.family !== cidr.family
      ? `is ${hole.family}, but the block ${cidr.text} is ${cidr.family}`
      : hole.text === cidr.text
        ? 'is the whole block, so nothing is left of it'
        : `is not inside the block ${cidr.text}`;
  findings.error(
    'D108',
    path,
    `the exception ${hole.text} ${why}`,
    `An exception must be a smaller block inside "cidr"; the API server refuses the object. ${effect} Remove the exception or correct it.`,
  );
  return false;
}

function decodeCidr(raw: unknown, path: FieldPath, findings: Findings): Cidr | undefined {
  if (raw !== undefined && typeof raw !== 'string') {
    wrongType(path, 'a text like "10.0.0.0/8"', raw, effect, findings);
    return undefined;
  }
  const text = raw ?? '';
  const parsed = parseCidr(text);
  if (parsed === undefined) {
    const message = text === '' ? 'the block is missing' : `${showText(text)} is no block of addresses`;
    findings.error('D107', path, message, `${cidrHint(text)} The API server refuses the object. ${effect}`);
    return undefined;
  }
  if (parsed.hostBits) {
    findings.warning(
      'D109',
      path,
      `${showText(text)} has bits set behind its prefix`,
      `It is read as ${parsed.cidr.text}. Write that, or the prefix you mean: newer API servers refuse this text.`,
    );
  }
  return parsed.cidr;
}

function cidrHint(text: string): string {
  const bare = parseCidr(`${text}/32`) ?? parseCidr(`${text}/128`);
  if (!text.includes('/') && bare !== undefined) {
    return `A prefix length is missing: "${text}/${bare.cidr.family === 'IPv4' ? 32 : 128}" is this one address.`;
  }
  if (/(?:^|[./])0\d/.test(text) && !text.includes(':')) return 'Leading zeros are ambiguous (octal or decimal).';
  if (/^::ffff:/i.test(text)) return 'Write an IPv4-mapped block as an IPv4 block.';
  return 'Write ADDRESS/PREFIX, for example "10.0.0.0/8" or "2001:db8::/32".';
}

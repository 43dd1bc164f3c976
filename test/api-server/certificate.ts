import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate with its key, both PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** An authority that lives as long as the test, so that no private key lies in the repository. */
export interface Authority extends KeyPair {
  /** A server certificate for these DNS names and addresses. */
  server(names: readonly string[]): KeyPair;
  /** A client certificate: `user` is its common name, groups its organisations. */
  client(user: string, groups?: readonly string[]): KeyPair;
}

const oid = {
  commonName: [2, 5, 4, 3],
  organisation: [2, 5, 4, 10],
  basicConstraints: [2, 5, 29, 19],
  keyUsage: [2, 5, 29, 15],
  subjectAltName: [2, 5, 29, 17],
  extendedKeyUsage: [2, 5, 29, 37],
  serverAuth: [1, 3, 6, 1, 5, 5, 7, 3, 1],
  clientAuth: [1, 3, 6, 1, 5, 5, 7, 3, 2],
  ecdsaWithSha256: [1, 2, 840, 10045, 4, 3, 2],
} as const;

const lifetimeMs = 7 * 24 * 3_600_000;

/** Makes an authority (ECDSA P-256, X.509 v3 by RFC 5280), valid from yesterday for a week. */
export function createAuthority(name = 'test authority'): Authority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = distinguishedName(name, []);
  const issue = (subject: Buffer, subjectKey: KeyObject, extensions: readonly Buffer[]): string =>
    pem('CERTIFICATE', certificate({ issuer, subject, subjectKey, extensions, signer: privateKey }));
  const leaf = (subject: Buffer, extensions: readonly Buffer[]): KeyPair => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return { cert: issue(subject, pair.publicKey, extensions), key: exportKey(pair.privateKey) };
  };
  return {
    cert: issue(issuer, publicKey, [
      extension(oid.basicConstraints, sequence(boolean(true)), true),
      // keyCertSign
      extension(oid.keyUsage, bitString(Buffer.from([0x04]), 2), true),
    ]),
    key: exportKey(privateKey),
    server: (names) =>
      leaf(distinguishedName(names[0] ?? 'server', []), [
        extension(oid.extendedKeyUsage, sequence(objectId(oid.serverAuth))),
        extension(oid.subjectAltName, sequence(...names.map(alternativeName))),
      ]),
    client: (user, groups = []) =>
      leaf(distinguishedName(user, groups), [extension(oid.extendedKeyUsage, sequence(objectId(oid.clientAuth)))]),
  };
}

function certificate(options: {
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly subjectKey: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly signer: KeyObject;
}): Buffer {
  const algorithm = sequence(objectId(oid.ecdsaWithSha256));
  const serial = randomBytes(12);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const now = Date.now();
  const toBeSigned = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    algorithm,
    options.issuer,
    sequence(time(now - 86_400_000), time(now + lifetimeMs)),
    options.subject,
    options.subjectKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...options.extensions)),
  );
  return sequence(toBeSigned, algorithm, bitString(sign('sha256', toBeSigned, options.signer)));
}

function distinguishedName(commonName: string, organisations: readonly string[]): Buffer {
  const part = (type: readonly number[], value: string): Buffer =>
    tagged(0x31, sequence(objectId(type), tagged(0x0c, Buffer.from(value))));
  return sequence(...organisations.map((name) => part(oid.organisation, name)), part(oid.commonName, commonName));
}

function extension(id: readonly number[], value: Buffer, critical = false): Buffer {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 0 ? tagged(0x82, Buffer.from(name)) : tagged(0x87, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const before = groups(head);
  const after = groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function time(ms: number): Buffer {
  // UTCTime: YYMMDDHHMMSSZ
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${text}Z`));
}

function objectId(parts: readonly number[]): Buffer {
  const [first = 0, second = 0, ...rest] = parts;
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return tagged(0x06, Buffer.from(bytes));
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, content: Buffer): Buffer {
  const size = content.length;
  if (size < 128) return Buffer.concat([Buffer.from([tag, size]), content]);
  const digits: number[] = [];
  for (let left = size; left > 0; left >>>= 8) digits.unshift(left & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length, ...digits]), content]);
}

function exportKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

import { X509Certificate } from 'node:crypto';

import { expect, test } from 'vitest';

import { createAuthority } from './certificate.ts';

test('a server certificate is signed by its authority and names DNS names and addresses of both families', () => {
  const authority = createAuthority();
  const server = new X509Certificate(authority.server(['localhost', '127.0.0.1', '::1', 'fd00:1::10']).cert);
  expect(server.verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  expect(server.checkHost('localhost')).toBe('localhost');
  expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(server.checkIP('fd00:1::10')).toBe('fd00:1::10');
  expect(server.checkIP('127.0.0.2')).toBeUndefined();
});

test('a client certificate names its user and groups', () => {
  const client = new X509Certificate(createAuthority().client('alice', ['system:masters']).cert);
  expect(client.subject).toBe('O=system:masters\nCN=alice');
});

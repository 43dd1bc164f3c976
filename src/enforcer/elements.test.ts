import { describe, expect, test } from 'vitest';

import { canonicalElement, decodeElement, encodeElement } from './elements.ts';

const flow = ['ipv4_addr', 'inet_proto', 'inet_service'];
const flow6 = ['ipv6_addr', 'inet_proto', 'inet_service'];

describe('elements', () => {
  test.each([
    { name: 'address', type: ['ipv4_addr'], interval: false, text: '10.0.0.1', json: '10.0.0.1' },
    { name: 'interface', type: ['ifname'], interval: false, text: 'eth0-1.5', json: 'eth0-1.5' },
    { name: 'port', type: ['inet_service'], interval: false, text: '80', json: 80 },
    {
      name: 'source',
      type: ['ifname', 'ipv4_addr'],
      interval: false,
      text: 'vethA . 10.0.0.1',
      json: { concat: ['vethA', '10.0.0.1'] },
    },
    {
      name: 'named port',
      type: flow,
      interval: false,
      text: '10.0.0.1 . tcp . 80',
      json: { concat: ['10.0.0.1', 'tcp', 80] },
    },
    {
      name: 'protocol without a name',
      type: flow,
      interval: false,
      text: '10.0.0.1 . 200 . 80',
      json: { concat: ['10.0.0.1', 200, 80] },
    },
    {
      name: 'block and port range',
      type: flow,
      interval: true,
      text: '10.1.0.0/16 . udp . 100-200',
      json: { concat: [{ prefix: { addr: '10.1.0.0', len: 16 } }, 'udp', { range: [100, 200] }] },
    },
    {
      name: 'address range',
      type: flow6,
      interval: true,
      text: 'fd01::1-fd01::ff . udp . 7',
      json: { concat: [{ range: ['fd01::1', 'fd01::ff'] }, 'udp', 7] },
    },
  ])('encodes and decodes: $name', ({ type, interval, text, json }) => {
    expect(encodeElement(text, type, interval)).toEqual(json);
    expect(decodeElement(json, type)).toBe(text);
    expect(canonicalElement(text, type)).toBe(text);
  });

  test.each([
    { name: 'protocol number', type: flow, text: '10.0.0.1 . 6 . 80', canonical: '10.0.0.1 . tcp . 80' },
    { name: 'full-length block', type: flow, text: '10.0.0.1/32 . tcp . 80', canonical: '10.0.0.1 . tcp . 80' },
    {
      name: 'range that is a block',
      type: flow,
      text: '10.3.0.0-10.3.0.255 . tcp . 1',
      canonical: '10.3.0.0/24 . tcp . 1',
    },
    { name: 'everything', type: flow, text: '0.0.0.0-255.255.255.255 . tcp . 1', canonical: '0.0.0.0/0 . tcp . 1' },
    {
      name: 'range of a size that is a power of two but not aligned',
      type: flow,
      text: '10.3.0.1-10.3.0.2 . tcp . 1',
      canonical: '10.3.0.1-10.3.0.2 . tcp . 1',
    },
    { name: 'range of one', type: flow, text: '10.3.0.1-10.3.0.1 . tcp . 1-1', canonical: '10.3.0.1 . tcp . 1' },
    {
      name: 'IPv6 block',
      type: flow6,
      text: 'fd00::-fd00::ffff:ffff:ffff:ffff . udp . 7',
      canonical: 'fd00::/64 . udp . 7',
    },
  ])('has one text for each meaning: $name', ({ type, text, canonical }) => {
    expect(canonicalElement(text, type)).toBe(canonical);
  });

  test.each([
    {
      name: 'options',
      type: ['ipv4_addr', 'inet_proto'],
      json: { elem: { val: { concat: ['1.2.3.4', 'tcp'] }, timeout: 60, expires: 59 } },
      text: '1.2.3.4 . tcp',
    },
    { name: 'dotted IPv6 tail', type: ['ipv6_addr'], json: '::ffff:1.2.3.4', text: '::ffff:102:304' },
    { name: 'protocol by number', type: ['inet_proto'], json: 58, text: 'ipv6-icmp' },
    {
      name: 'port block of a newer nft',
      type: ['inet_service'],
      json: { prefix: { addr: 64, len: 10 } },
      text: '64-127',
    },
  ])('reads listings: $name', ({ type, json, text }) => {
    expect(decodeElement(json, type)).toBe(text);
  });

  test.each([
    { name: 'another number of fields', type: ['ifname', 'ipv4_addr'], json: { concat: ['vethA'] } },
    { name: 'a plain text for several fields', type: ['ifname', 'ipv4_addr'], json: 'vethA' },
    { name: 'an unknown expression', type: ['ipv4_addr'], json: { '&': ['10.0.0.1', 3] } },
    { name: 'a block of interfaces', type: ['ifname'], json: { prefix: { addr: 'veth', len: 32 } } },
  ])('does not guess: $name', ({ type, json }) => {
    expect(decodeElement(json, type)).toBeUndefined();
  });
});

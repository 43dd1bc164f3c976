import { expect, test } from 'vitest';
import { and, anonymousSet, concat, ct, elem, meta, or, payload, prefix, range, rawPayload, setRef } from './expr.ts';
import { accept } from './stmt.ts';

test.each([
  {
    name: 'a named header field',
    built: payload('ip', 'saddr'),
    json: '{"payload":{"protocol":"ip","field":"saddr"}}',
  },
  {
    name: 'a raw header field',
    built: rawPayload('nh', 96, 32),
    json: '{"payload":{"base":"nh","offset":96,"len":32}}',
  },
  { name: 'metadata', built: meta('iifname'), json: '{"meta":{"key":"iifname"}}' },
  { name: 'conntrack data', built: ct('direction'), json: '{"ct":{"key":"direction"}}' },
  {
    name: 'conntrack data of one direction',
    built: ct('saddr', 'original'),
    json: '{"ct":{"key":"saddr","dir":"original"}}',
  },
  { name: 'a block', built: prefix('10.0.0.0', 8), json: '{"prefix":{"addr":"10.0.0.0","len":8}}' },
  { name: 'a range', built: range(80, 90), json: '{"range":[80,90]}' },
  { name: 'a concatenation', built: concat(meta('l4proto'), 80), json: '{"concat":[{"meta":{"key":"l4proto"}},80]}' },
  { name: 'a reference', built: setRef('peers'), json: '"@peers"' },
  { name: 'an anonymous set', built: anonymousSet(['tcp', 'udp']), json: '{"set":["tcp","udp"]}' },
  { name: 'an anonymous verdict map', built: anonymousSet([[80, accept()]]), json: '{"set":[[80,{"accept":null}]]}' },
  {
    name: 'an element with options',
    built: elem('10.0.0.1', { timeout: 60, comment: 'x' }),
    json: '{"elem":{"val":"10.0.0.1","timeout":60,"comment":"x"}}',
  },
  { name: 'a mask', built: and(meta('mark'), 255), json: '{"&":[{"meta":{"key":"mark"}},255]}' },
  { name: 'alternatives of bits', built: or('syn', 'ack'), json: '{"|":["syn","ack"]}' },
])('$name has the JSON of libnftables', ({ built, json }) => {
  expect(JSON.stringify(built)).toBe(json);
});

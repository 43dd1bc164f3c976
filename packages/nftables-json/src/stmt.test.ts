import { expect, test } from 'vitest';
import { elem, payload, setRef } from './expr.ts';
import {
  accept,
  addToSet,
  continueStatement,
  counter,
  drop,
  goto,
  jump,
  limit,
  log,
  match,
  reject,
  returnStatement,
  updateSet,
  vmap,
} from './stmt.ts';

const saddr = payload('ip', 'saddr');
const saddrJson = '{"payload":{"protocol":"ip","field":"saddr"}}';

test.each([
  {
    name: 'a match',
    built: match(saddr, '10.0.0.1'),
    json: `{"match":{"op":"==","left":${saddrJson},"right":"10.0.0.1"}}`,
  },
  {
    name: 'a negated match',
    built: match(saddr, '@s', '!='),
    json: `{"match":{"op":"!=","left":${saddrJson},"right":"@s"}}`,
  },
  { name: 'a verdict lookup', built: vmap(saddr, setRef('m')), json: `{"vmap":{"key":${saddrJson},"data":"@m"}}` },
  { name: 'accept', built: accept(), json: '{"accept":null}' },
  { name: 'drop', built: drop(), json: '{"drop":null}' },
  { name: 'continue', built: continueStatement(), json: '{"continue":null}' },
  { name: 'return', built: returnStatement(), json: '{"return":null}' },
  { name: 'jump', built: jump('c'), json: '{"jump":{"target":"c"}}' },
  { name: 'goto', built: goto('c'), json: '{"goto":{"target":"c"}}' },
  { name: 'a counter', built: counter(), json: '{"counter":null}' },
  {
    name: 'a limit',
    built: limit({ rate: 100, per: 'second', burst: 5 }),
    json: '{"limit":{"rate":100,"per":"second","burst":5}}',
  },
  { name: 'an update', built: updateSet('s', saddr), json: `{"set":{"op":"update","elem":${saddrJson},"set":"@s"}}` },
  {
    name: 'an addition with a counter per element',
    built: addToSet('s', elem(saddr, { timeout: 60 }), [counter()]),
    json: `{"set":{"op":"add","elem":{"elem":{"val":${saddrJson},"timeout":60}},"set":"@s","stmt":[{"counter":null}]}}`,
  },
  { name: 'a log', built: log({ prefix: 'x', group: 1 }), json: '{"log":{"prefix":"x","group":1}}' },
  { name: 'a plain log', built: log(), json: '{"log":null}' },
  { name: 'a reject', built: reject({ type: 'tcp reset' }), json: '{"reject":{"type":"tcp reset"}}' },
])('$name has the JSON of libnftables', ({ built, json }) => {
  expect(JSON.stringify(built)).toBe(json);
});

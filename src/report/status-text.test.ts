import { expect, test } from 'vitest';

import { renderAge } from './columns.ts';
import { renderDenied } from './denied-text.ts';
import { renderStatus } from './status-text.ts';
import { fine, wrong } from './testing/status-reports.ts';

const now = Date.parse('2026-11-21T10:00:00Z');

test('a node where all is well is told in a few lines', () => {
  expect(renderStatus(fine, now)).toBe(`\
state            ENFORCING
node             node-1, agent 0.1.0, nft 1.1.3, started 60 min ago
enforcing since  2026-11-21T09:00:01.000Z
generation       41, in the kernel
kernel           written 10 s ago, compared 5 s ago
mode             every-packet, unknown pods closed
objects          12 Pod, from https://api

pods (1 judged)
  shop/db  veth1  in: shop/db  out: open (audit only: shop/dry)
`);
});

test('whatever is wrong is said with what to do', () => {
  const text = renderStatus(wrong, now);
  for (const part of [
    'REFUSED: this node cannot be policed',
    '9, none in the kernel yet',
    'refusals answered, egress to the own node policed except DNS at 169.254.20.10, denials not recorded',
    'failed: no memory; tried 2 min ago, compared 5 s ago, repaired 3 times',
    '0 Pod, not read yet (backoff: refused; last heard never)',
    '2 errors and 1 warnings in them',
    'policy a/p is in the kernel (generation 8, resourceVersion 77), and admits less than is written: spec.x: no',
    'NetworkPolicy a/p D112 spec.podSelector: no. Fix.',
    'p.yaml:3:1 I002 no YAML.',
    'and 1 more',
    'a/b pod-interface-missing no route. Look',
    'inet chain x too long (closed: a/c)',
    'REFUSED kube-proxy-ipvs kube-ipvs0: bypass. Change it.',
    'the node cannot be observed: ip is gone',
  ]) {
    expect(text.replaceAll(/  +/g, ' ')).toContain(part);
  }
});

test('a denied flow is one line with both ends and the reason', () => {
  const text = renderDenied([
    {
      mode: 'denied',
      from: { address: '10.0.0.2', pod: 'shop/web' },
      to: { address: '10.0.0.1', pod: 'shop/db' },
      protocol: 'tcp',
      port: 5432,
      packets: 1,
      ageSeconds: 3,
      reason: 'no-rule-admits',
      direction: 'ingress',
      policies: ['shop/db'],
    },
  ]);
  expect(text).toBe(
    '3 s ago  DENIED  shop/web (10.0.0.2) -> shop/db (10.0.0.1)  tcp/5432  1 packet  ingress: no rule of shop/db admits it\n',
  );
});

test.each([
  [-4, '0 s'],
  [119, '119 s'],
  [130, '2 min'],
  [7300, '2 h'],
  [200_000, '2 d'],
])('%i seconds are told as %s', (seconds, text) => {
  expect(renderAge(seconds)).toBe(text);
});

import { describe, expect, test } from 'vitest';

import type { ReasonCode } from './codes.ts';
import type { IpFamily } from '../model/ip.ts';
import type { EndRef, Explanation, FlowStep, Outcome, SideExplanation } from './explanation.ts';
import type { InstalledFlow } from './installed-answer.ts';
import { withNodes } from './installed-verdict.ts';
import type { NodeFinding } from './installed-verdict.ts';
import { nodeName } from '../model/names.ts';

const pod = (name: string): EndRef => ({ kind: 'Pod', namespace: 'shop', name });

function side(direction: 'egress' | 'ingress', name: string, verdict: 'allow' | 'deny'): SideExplanation {
  return {
    direction,
    subject: pod(name),
    name,
    verdict,
    code: verdict === 'allow' ? 'E002' : 'E012',
    isolated: 'yes',
    policies: [],
    notApplicable: [],
    admittedBy: [],
    closest: [],
    suggestions: [],
  };
}

function flow(to: string, verdict: 'ALLOWED' | 'DENIED'): FlowStep {
  return {
    kind: 'flow',
    from: pod('web'),
    to: pod(to),
    protocol: 'TCP',
    port: 80,
    family: 'IPv4',
    verdict,
    codes: [],
    egress: side('egress', 'web', 'allow'),
    ingress: side('ingress', to, verdict === 'ALLOWED' ? 'allow' : 'deny'),
    count: 1,
  };
}

function explanation(verdict: Outcome, codes: readonly ReasonCode[], ...steps: readonly FlowStep[]): Explanation {
  return {
    verdict,
    codes,
    question: { from: pod('web'), to: pod('api'), protocol: 'TCP', port: 80 },
    steps,
    missingFacts: [],
    assumptions: [],
    notes: [],
    warnings: [],
    help: [],
    inputs: { files: [], policies: 0, pods: 0, services: 0, namespaces: 0, nodes: 0 },
  };
}

function met(policiesSay: Outcome, verdict: Outcome | null, family: IpFamily = 'IPv4'): InstalledFlow {
  const found = verdict === 'DENIED' ? 'deny' : 'allow';
  const expected = verdict === 'DENIED' ? 'allow' : 'deny';
  const difference = { node: 'a', direction: 'ingress', expected, found, text: '' } as const;
  const differences = verdict === null || verdict === policiesSay ? [] : [difference];
  return { from: '', to: '', protocol: 'TCP', port: 80, family, verdict, policiesSay, chains: [], differences };
}

const answerOf = ({ verdict, codes }: Explanation): string => [verdict, ...codes].join(' ');

const [near, far] = [nodeName('a'), nodeName('b')];
const finding = (node: NodeFinding['node'], met: NodeFinding['met'], open = false): NodeFinding => ({
  node,
  met,
  open,
});

/** With what node `a` says, where every destination is. */
function withInstalled(asked: Explanation, found: NodeFinding['met']): Explanation {
  return withNodes(asked, [finding(near, found)], () => near);
}

describe('the answer beside the kernel', () => {
  const [open, closed] = [flow('api', 'ALLOWED'), flow('db', 'DENIED')];

  test('stays as it is where the kernel does the same', () => {
    const asked = explanation('DENIED', ['E012'], open, closed);
    const same = new Map([
      [open, [met('ALLOWED', 'ALLOWED')]],
      [closed, [met('DENIED', 'DENIED')]],
    ]);
    expect(withInstalled(asked, same)).toBe(asked);
  });

  test('is what packets meet where it differs', () => {
    const asked = explanation('ALLOWED', [], open);
    expect(answerOf(withInstalled(asked, new Map([[open, [met('ALLOWED', 'DENIED')]]])))).toBe('DENIED E070');
    const denied = explanation('DENIED', ['E012'], closed);
    expect(answerOf(withInstalled(denied, new Map([[closed, [met('DENIED', 'ALLOWED')]]])))).toBe('ALLOWED E070 E012');
  });

  test('keeps the refusal of a flow that this node does not see', () => {
    const elsewhere = flow('db', 'DENIED');
    const asked = explanation('DENIED', ['E012'], closed, elsewhere);
    expect(answerOf(withInstalled(asked, new Map([[closed, [met('DENIED', 'ALLOWED')]]])))).toBe('DENIED E070 E012');
  });

  test('is unknown where the rules cannot be followed, unless another flow is refused', () => {
    const asked = explanation('ALLOWED', [], open);
    expect(answerOf(withInstalled(asked, new Map([[open, [met('ALLOWED', null)]]])))).toBe('UNKNOWN E070');
    const both = explanation('DENIED', ['E012'], open, closed);
    expect(answerOf(withInstalled(both, new Map([[open, [met('ALLOWED', null)]]])))).toBe('DENIED E070 E012');
  });

  test('is unknown where nothing is enforced, unless another node denies it', () => {
    const asked = explanation('DENIED', ['E012'], closed);
    const nothing = [finding(near, new Map(), true)];
    expect(answerOf(withNodes(asked, nothing, () => near))).toBe('UNKNOWN E071');
    expect(withNodes(asked, nothing, () => far)).toBe(asked);
    const allowed = explanation('ALLOWED', [], open);
    expect(withNodes(allowed, nothing, () => near)).toBe(allowed);
  });

  test('is denied if any node denies, whatever the other one does', () => {
    const asked = explanation('ALLOWED', [], open);
    const [passes, drops] = [
      new Map([[open, [met('ALLOWED', 'ALLOWED')]]]),
      new Map([[open, [met('ALLOWED', 'DENIED')]]]),
    ];
    const nodes = [finding(far, passes), finding(near, drops)];
    for (const order of [nodes, nodes.toReversed()])
      expect(answerOf(withNodes(asked, order, () => near))).toBe('DENIED E070');
    const unread = finding(far, new Map([[open, [met('ALLOWED', null)]]]));
    expect(answerOf(withNodes(asked, [unread, finding(near, drops)], () => near))).toBe('DENIED E070');
  });

  test('is that of the family that is worse off', () => {
    const asked = explanation('DENIED', ['E012'], closed);
    const opens = met('DENIED', 'ALLOWED');
    const alike = finding(near, new Map([[closed, [opens, met('DENIED', 'DENIED', 'IPv6')]]]));
    expect(answerOf(withNodes(asked, [alike], () => near))).toBe('DENIED E070 E012');
    const both = finding(near, new Map([[closed, [opens, met('DENIED', 'ALLOWED', 'IPv6')]]]));
    expect(answerOf(withNodes(asked, [both], () => near))).toBe('ALLOWED E070 E012');
  });

  test('is unknown where one node opens what another cannot be asked about', () => {
    const asked = explanation('DENIED', ['E012'], closed);
    const opens = finding(near, new Map([[closed, [met('DENIED', 'ALLOWED')]]]));
    const unread = finding(far, new Map([[closed, [met('DENIED', null)]]]));
    expect(answerOf(withNodes(asked, [opens, unread], () => near))).toBe('UNKNOWN E070 E012');
  });
});

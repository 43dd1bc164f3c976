import { createJudge } from '../compiler/judge.ts';
import type { Flow, Verdict } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import type { Protocol } from '../model/port.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { createDirectory, sharedFamilies, toEnd } from './ends.ts';
import type { Directory } from './ends.ts';

/** A question with the answer somebody expects. */
export interface Expectation {
  /** `namespace/pod`, `node/NAME` or an address. */
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly family?: IpFamily | undefined;
  readonly expect: 'allow' | 'deny';
  readonly egress?: 'allow' | 'deny' | undefined;
  readonly ingress?: 'allow' | 'deny' | undefined;
  /** Names of documented gaps in the API whose other reading flips the answer: reported, never failed. */
  readonly disputed?: readonly string[] | undefined;
}

/** The answer to one expectation; also a row of `policy test -o json`. */
export interface AssertionResult {
  /** Position in its list, from 0. */
  readonly index: number;
  readonly verdict: Verdict;
  readonly egress: Verdict;
  readonly ingress: Verdict;
  readonly expect: 'allow' | 'deny';
  /** The verdict, and each side that was stated, are as expected. */
  readonly pass: boolean;
  readonly disputed: readonly string[];
}

/** An expectation that cannot be judged: an end does not exist, or the ends cannot talk. */
export interface UnusableExpectation {
  readonly index: number;
  readonly problem: string;
}

/** Judges expectations in one state of a cluster, in order. */
export function checkExpectations(
  snapshot: ClusterSnapshot,
  expectations: readonly Expectation[],
): { readonly results: readonly AssertionResult[]; readonly unusable: readonly UnusableExpectation[] } {
  const directory = createDirectory(snapshot);
  const judge = createJudge(snapshot);
  const results: AssertionResult[] = [];
  const unusable: UnusableExpectation[] = [];
  for (const [index, expectation] of expectations.entries()) {
    const flow = toFlow(directory, expectation);
    if (typeof flow === 'string') {
      unusable.push({ index, problem: flow });
      continue;
    }
    const { verdict, egress, ingress } = judge.judge(flow);
    const answer = { verdict, egress: egress.verdict, ingress: ingress.verdict };
    results.push({
      index,
      ...answer,
      expect: expectation.expect,
      pass:
        answer.verdict === expectation.expect &&
        (expectation.egress ?? answer.egress) === answer.egress &&
        (expectation.ingress ?? answer.ingress) === answer.ingress,
      disputed: expectation.disputed ?? [],
    });
  }
  return { results, unusable };
}

/** The flow an expectation asks about, or why there is none. Without a family it is the first that both ends have. */
export function toFlow(directory: Directory, expectation: Omit<Expectation, 'expect'>): Flow | string {
  const from = directory.find(expectation.from);
  const to = directory.find(expectation.to);
  if (typeof from === 'string') return `from: ${expectation.from}: ${partyProblems[from]}`;
  if (typeof to === 'string') return `to: ${expectation.to}: ${partyProblems[to]}`;
  const family = expectation.family ?? sharedFamilies(from, to)[0];
  const fromEnd = family === undefined ? undefined : toEnd(from, family);
  const toEndOfFamily = family === undefined ? undefined : toEnd(to, family);
  if (family === undefined || fromEnd === undefined || toEndOfFamily === undefined) {
    return `${expectation.from} and ${expectation.to} have no ${expectation.family ?? 'common'} address`;
  }
  return { from: fromEnd, to: toEndOfFamily, family, protocol: expectation.protocol, port: expectation.port };
}

/** Why a name is no end of a flow, for people. */
export const partyProblems = {
  'no-such-pod': 'there is no such pod in the manifests',
  'no-such-node': 'there is no such node in the manifests',
  'finished-pod': 'the pod has finished: it neither sends nor receives',
  'not-an-address': 'neither NAMESPACE/POD, node/NAME nor an IP address',
} as const;

import { isOnlyAudited, withAuditsEnforced } from '../compiler/audit.ts';
import { evaluateSide } from '../compiler/evaluate.ts';
import type { Judge } from '../compiler/judge.ts';
import type { DeniedFlow } from '../enforcer/denied.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import { familyOf, parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import { isProtocol } from '../model/port.ts';

/** One end of a denied flow, as far as it is known. */
export interface DeniedEnd {
  readonly address: string;
  /** `namespace/name`. */
  readonly pod?: string;
  readonly node?: string;
}

/** Why a flow was denied, as far as can be told now. */
export type DeniedReason =
  /** Policies isolate the pod, and no rule of theirs admits the flow. */
  | 'no-rule-admits'
  /** The pod is closed: its interface is not certain, or the kernel refused its rules. */
  | 'pod-closed'
  /** Neither end is a pod of this node that is known: a pod before its time, or a forged source address. */
  | 'unknown-pod'
  /** By what is known now it would pass: policy, labels or addresses have changed, or had not arrived. */
  | 'allowed-now'
  /** Nobody who knows pods and policies was there to say. */
  | 'unexplained';

/** A recorded flow, with names and the reason. */
export interface DeniedEntry {
  /** `would-deny`: policies in audit mode only; the flow passed. */
  readonly mode: 'denied' | 'would-deny';
  readonly from: DeniedEnd;
  readonly to: DeniedEnd;
  readonly protocol: string;
  readonly port: number;
  /** Recorded packets: at least these. Absent if the kernel does not tell. */
  readonly packets?: number;
  /** Seconds since the last packet that was recorded. */
  readonly ageSeconds: number;
  readonly reason: DeniedReason;
  /** The side that denies, seen from its pod. */
  readonly direction?: Direction;
  /** The policies that isolate that pod in this direction; `namespace/name`. */
  readonly policies: readonly string[];
}

/** What `policy denied` knows: the recorded flows of one node, most recent first. */
export interface DeniedReport {
  readonly schema: 'nftpolicy.dev/denied/v1';
  /** Absent if no agent answered. */
  readonly node?: string;
  /** Whether denied flows are recorded at all; absent if no agent answered. Would-deny always is. */
  readonly recording?: boolean;
  readonly flows: readonly DeniedEntry[];
}

/** What names and reasons are looked up in. */
export interface DeniedContext {
  readonly node: NodeName;
  readonly judge: Judge;
  readonly owner: (address: IpAddress) => Endpoint | undefined;
  readonly nodeOf: (address: IpAddress) => NodeName | undefined;
  /** Local pods whose traffic is closed whatever policy says; by uid. */
  readonly closed: ReadonlySet<string>;
}

/** Seconds that a record lives after its last packet. */
export const recordSeconds = 300;

/** Names both ends of recorded flows and finds the policies behind them. Pure. */
export function explainDenied(
  flows: readonly DeniedFlow[],
  mode: DeniedEntry['mode'],
  context: DeniedContext,
): readonly DeniedEntry[] {
  return flows.map((flow) => {
    const from = parseIp(flow.from);
    const to = parseIp(flow.to);
    const known = from !== undefined && to !== undefined ? judge(flow, from, to, mode, context) : undefined;
    return {
      mode,
      from: nameEnd(flow.from, from, context),
      to: nameEnd(flow.to, to, context),
      protocol: flow.protocol,
      port: flow.port,
      ...(flow.packets === undefined ? {} : { packets: flow.packets }),
      ageSeconds: Math.max(0, recordSeconds - flow.expiresSeconds),
      ...(known ?? { reason: 'unknown-pod' as const, policies: [] }),
    };
  });
}

function judge(
  recorded: DeniedFlow,
  fromAddress: IpAddress,
  toAddress: IpAddress,
  mode: DeniedEntry['mode'],
  context: DeniedContext,
): Pick<DeniedEntry, 'reason' | 'direction' | 'policies'> {
  const protocol = recorded.protocol.toUpperCase();
  const flow: Flow = {
    from: endOf(fromAddress, context),
    to: endOf(toAddress, context),
    family: familyOf(fromAddress),
    protocol: isProtocol(protocol) ? protocol : 'TCP',
    port: recorded.port,
  };
  const sides = [
    ['egress', flow.from],
    ['ingress', flow.to],
  ] as const;
  const local = sides.flatMap(([direction, end]) =>
    end.kind === 'pod' && end.pod.node === context.node ? [{ direction, pod: end.pod, end }] : [],
  );
  const [first] = local;
  if (first === undefined) return { reason: 'unknown-pod', policies: [] };
  for (const { direction, end } of local) {
    const effective = context.judge.effectivePolicy(end);
    if (effective === undefined) continue;
    if (mode === 'would-deny' && !isOnlyAudited(effective, direction)) continue;
    const policy = mode === 'would-deny' ? withAuditsEnforced(effective) : effective;
    if (evaluateSide(policy, direction, flow, context.judge.context).verdict !== 'deny') continue;
    const policies = policy[direction].policies.map((selecting) => selecting.policy.key);
    return { reason: 'no-rule-admits', direction, policies };
  }
  const closed = local.find(({ pod }) => context.closed.has(pod.uid));
  if (closed !== undefined) return { reason: 'pod-closed', direction: closed.direction, policies: [] };
  return { reason: 'allowed-now', direction: first.direction, policies: [] };
}

function endOf(address: IpAddress, { owner, nodeOf }: DeniedContext): FlowEnd {
  const pod = owner(address);
  if (pod !== undefined) return { kind: 'pod', pod, address };
  const node = nodeOf(address);
  return node === undefined ? { kind: 'external', address } : { kind: 'node', name: node, address };
}

function nameEnd(text: string, address: IpAddress | undefined, { owner, nodeOf }: DeniedContext): DeniedEnd {
  if (address === undefined) return { address: text };
  const pod = owner(address);
  if (pod !== undefined) return { address, pod: pod.key };
  const node = nodeOf(address);
  return node === undefined ? { address } : { address, node };
}

/** A Kubernetes object as plain JSON: nulls and invalid pieces included. */
export type RawObject = Readonly<Record<string, unknown>>;

/** IP family, as Kubernetes spells it. */
export type Family = 'IPv4' | 'IPv6';

/** May the first packet of this connection pass? The fields of one entry of `flows` in a fixture. */
export interface Question {
  /** `namespace/pod`, `node/NAME` or an IP address. */
  readonly from: string;
  /** Like `from`. */
  readonly to: string;
  /** 1 to 65535, as the destination sees it; absent for ICMP. */
  readonly port?: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  /** Needed only if both ends have both families. */
  readonly family?: Family;
}

/** The answer of one side, or of a flow. */
export type Judgement = 'allow' | 'deny' | 'unknown';

/** `verdict` is allow if both sides are; a side whose end is no policed pod allows (semantics 7). */
export interface Answer {
  readonly verdict: Judgement;
  readonly egress: Judgement;
  readonly ingress: Judgement;
}

/** Anything that answers questions about a cluster: the oracle, the evaluator, the simulated ruleset, the kernel. */
export type Judge = (objects: readonly RawObject[], questions: readonly Question[]) => readonly Answer[];

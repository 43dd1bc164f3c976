import type { Endpoint } from './endpoint.ts';
import type { IpAddress, IpFamily } from './ip.ts';
import type { NodeName } from './names.ts';
import type { Protocol } from './port.ts';

/** Protocols a question can name. `ICMP` stands for ICMP or ICMPv6 by family and has no port. */
export type FlowProtocol = Protocol | 'ICMP';

/** Facts about a pod that a question may lack when it is asked without a cluster. */
export type PodFact = 'labels' | 'addresses' | 'ports' | 'node';

/** One end of a flow. A hostNetwork pod is a `node` end: pods on the host network are their node (semantics 51). */
export type FlowEnd =
  | {
      readonly kind: 'pod';
      readonly pod: Endpoint;
      /** The pod's address of the flow's family, if it has one. */
      readonly address?: IpAddress;
      /** Facts nobody supplied: a condition that needs one is undecidable. */
      readonly unknown?: ReadonlySet<PodFact>;
    }
  | {
      readonly kind: 'node';
      readonly name?: NodeName;
      readonly address?: IpAddress;
      readonly hostNetworkPod?: Endpoint;
    }
  | { readonly kind: 'external'; readonly address: IpAddress };

/** The question: may the first packet of this connection pass? Ports and addresses are those after Service translation. */
export interface Flow {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly family: IpFamily;
  readonly protocol: FlowProtocol;
  /** 1 to 65535; absent for ICMP. */
  readonly port?: number;
  /** The same packets as they arrive, if a node on the way changes an address: what ingress is judged by. */
  readonly arrival?: Omit<Flow, 'arrival'>;
}

/** A condition's answer: `unknown` if a missing fact could change it (Kleene's three-valued logic). */
export type Answer = 'yes' | 'no' | 'unknown';

/** The answer of one side, or of a flow. */
export type Verdict = 'allow' | 'deny' | 'unknown';

/** `yes` if all are, `no` if any is not. */
export function every(answers: Iterable<Answer>): Answer {
  let result: Answer = 'yes';
  for (const answer of answers) {
    if (answer === 'no') return 'no';
    if (answer === 'unknown') result = 'unknown';
  }
  return result;
}

/** `yes` if any is, `no` if none can be. */
export function some(answers: Iterable<Answer>): Answer {
  let result: Answer = 'no';
  for (const answer of answers) {
    if (answer === 'yes') return 'yes';
    if (answer === 'unknown') result = 'unknown';
  }
  return result;
}

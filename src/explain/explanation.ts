import type { Answer, FlowProtocol, Verdict } from '../model/flow.ts';
import type { Span } from '../model/diagnostic.ts';
import type { IpFamily } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { TextEdit } from './cluster.ts';
import type { LintCode, ReasonCode } from './codes.ts';
import type { Installed } from './installed-answer.ts';

/** The first word of an answer, worst first in {@link outcomes}. */
export type Outcome = 'ALLOWED' | 'DENIED' | 'UNPROTECTED' | 'UNKNOWN';

/** Worst first: of several flows the worst names the whole. */
export const outcomes: readonly Outcome[] = ['DENIED', 'UNKNOWN', 'UNPROTECTED', 'ALLOWED'];

/** Kinds of workloads that stand for their pods. */
export type WorkloadKind = 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet' | 'Job' | 'CronJob';

/** What a question, or a step of its answer, calls an end. */
export type EndRef =
  | { readonly kind: 'Pod' | 'Service' | WorkloadKind; readonly namespace: string; readonly name: string }
  | { readonly kind: 'Node'; readonly name: string }
  | { readonly kind: 'Address'; readonly address: string }
  | { readonly kind: 'Block'; readonly cidr: string };

/** A marked place in a source text. */
export interface Mark {
  readonly span: Span;
  /** It decides (`^`); otherwise it only matched too (`-`). */
  readonly primary: boolean;
  readonly label: string;
}

/** Lines of one file with marks, cut out so that an explanation needs no files to be shown. */
export interface Frame {
  readonly file: string;
  /** Marked lines and the keys around them, ascending; gaps of one line are filled. */
  readonly lines: readonly { readonly number: number; readonly text: string }[];
  readonly marks: readonly Mark[];
}

/** What one written condition of a rule came to. */
export interface ConditionAnswer {
  readonly kind: 'namespaceSelector' | 'podSelector' | 'namespace' | 'cidr' | 'except' | 'port' | 'invalid';
  readonly matched: boolean;
  readonly code?: ReasonCode;
  readonly expected?: string;
  readonly actual?: string | null;
  readonly span?: Span;
}

/** What one rule came to. `failing` and `of` count its written conditions, if it does not match. */
export interface RuleAnswer {
  /** From 1. */
  readonly index: number;
  readonly matched: boolean | null;
  readonly failing?: number;
  readonly of?: number;
  readonly closest?: boolean;
  readonly conditions?: readonly ConditionAnswer[];
}

/** What one policy says to one side. Policies isolate and admit; none ever denies. */
export type PolicyWord = 'Admits' | 'DoesNotAdmit' | 'Undecidable' | 'NotApplicable';

/** One policy's answer. */
export interface PolicyAnswer {
  readonly policy: string;
  readonly answer: PolicyWord;
  readonly span?: Span;
  readonly rules: readonly RuleAnswer[];
  /** `2 rules`, `no egress rules`, what it would need to know. */
  readonly summary: string;
}

/** A rule that admits, with the lines that do. */
export interface Admission {
  readonly policy: string;
  /** From 1. */
  readonly rule: number;
  readonly frame?: Frame;
}

/** The rule or policy that comes closest to admitting, or to selecting. */
export interface NearMiss {
  readonly policy: string;
  /** From 1; absent if the policy as a whole misses. */
  readonly rule?: number;
  readonly code: ReasonCode;
  /** What follows `closest: `, without the code. */
  readonly title: string;
  readonly frame?: Frame;
  /** Further facts under the frame. */
  readonly facts: readonly string[];
  readonly lint?: LintCode;
}

/** What an edit does, as judged by applying it. */
export interface Effect {
  /** The outcome of the asked flow with this edit alone. */
  readonly verdict: Outcome;
  /** Judged flows other than the asked one whose verdict changes; `null` if there were too many to judge. */
  readonly otherFlowsChanged: number | null;
  /** Number of the blocker it removes, if there are several. */
  readonly removesBlocker?: number;
}

/** A change that would help. */
export interface Suggestion {
  readonly code: ReasonCode;
  readonly lint?: LintCode;
  /** `likely`: its effect is checked and its intent guessed; `sketch`: not checkable. */
  readonly applicability: 'likely' | 'sketch';
  readonly help: string;
  readonly edits: readonly TextEdit[];
  /** The edit as lines before and after. */
  readonly diff: readonly { readonly number: number; readonly sign: '+' | '-'; readonly text: string }[];
  readonly effect: Effect | null;
  /** The effect in words. */
  readonly effectText?: string;
}

/** One side of a flow. */
export interface SideExplanation {
  readonly direction: Direction;
  readonly subject: EndRef;
  /** The subject as the other lines call it. */
  readonly name: string;
  readonly verdict: Verdict;
  readonly code: ReasonCode;
  readonly isolated: Answer;
  /** Why no policy was asked, or why none is needed. */
  readonly why?: string;
  readonly policies: readonly PolicyAnswer[];
  readonly notApplicable: readonly PolicyAnswer[];
  readonly admittedBy: readonly Admission[];
  /** Best first. */
  readonly closest: readonly NearMiss[];
  /** Why nothing comes close. */
  readonly none?: string | undefined;
  readonly suggestions: readonly Suggestion[];
}

/** One flow, judged at both ends. */
export interface FlowStep {
  readonly kind: 'flow';
  readonly from: EndRef;
  readonly to: EndRef;
  readonly protocol: FlowProtocol;
  readonly port?: number;
  /** What the port stands for, if not one port: `any other TCP port`, `30000-32767`. */
  readonly ports?: string;
  readonly family: IpFamily | null;
  /** The same flow in the other family, where its explanation is the same. */
  readonly otherFamilies?: readonly FlowStep[];
  readonly verdict: Outcome;
  readonly codes: readonly ReasonCode[];
  readonly egress: SideExplanation;
  readonly ingress: SideExplanation;
  /** Flows of like pods that this one stands for, itself included. */
  readonly count: number;
  /** What all edits of this flow do together, if several blockers need one each. */
  readonly combined?: string | undefined;
  /** Where packets first go, and from whom they arrive, if a node on the way changes an address. */
  readonly legs?: { readonly to: EndRef; readonly port?: number; readonly from: EndRef };
  /** What is special about this flow among several: `through node-b`. */
  readonly remark?: string;
}

/** Whether the source can resolve names. */
export interface DnsStep {
  readonly kind: 'dns';
  /** `null`: there is no such Service here, so nothing was judged. */
  readonly verdict: Outcome | null;
  readonly server: EndRef;
  readonly flows: readonly FlowStep[];
}

/** How a Service leads to pods. */
export interface ServiceStep {
  readonly kind: 'service';
  readonly service: EndRef;
  readonly address: string | null;
  readonly port: number | null;
  readonly targetPort: number | string | null;
  readonly endpoints: readonly EndRef[];
  readonly span?: Span;
  /** The step as a line, and where it is written. */
  readonly text: string;
  readonly note?: string;
  readonly code?: ReasonCode;
}

/** A step of an answer, in the order packets meet them. */
export type Step = DnsStep | ServiceStep | FlowStep;

/** A fact nobody supplied that could change the answer. */
export interface MissingFact {
  readonly object: EndRef | { readonly kind: 'Namespace'; readonly name: string };
  readonly facts: string;
  readonly neededBy: string;
  readonly span?: Span;
}

/** Something believed without being told. */
export interface Assumption {
  readonly id: string;
  readonly text: string;
}

/** A danger that the answer does not show. */
export interface Warning {
  readonly code?: LintCode;
  readonly text: string;
}

/** What was read. */
export interface InputCounts {
  readonly files: readonly string[];
  readonly policies: number;
  readonly pods: number;
  readonly services: number;
  readonly namespaces: number;
  readonly nodes: number;
}

/** The answer to one question. */
export interface Explanation {
  readonly verdict: Outcome;
  readonly codes: readonly ReasonCode[];
  readonly question: {
    readonly from: EndRef;
    readonly to: EndRef;
    readonly protocol: FlowProtocol;
    readonly port: number | string | null;
  };
  readonly steps: readonly Step[];
  readonly missingFacts: readonly MissingFact[];
  readonly assumptions: readonly Assumption[];
  readonly notes: readonly string[];
  readonly warnings: readonly Warning[];
  /** What to do, when no edit is at hand. */
  readonly help: readonly string[];
  readonly inputs: InputCounts;
  /** What the rules in the kernel of a node do with the same flows, if they were asked. */
  readonly installed?: readonly Installed[];
}

/** `shop/web-1`, `node/a`, `10.0.0.1`: an end in full. */
export function endTitle(ref: EndRef): string {
  switch (ref.kind) {
    case 'Pod':
      return `${ref.namespace}/${ref.name}`;
    case 'Node':
      return `node/${ref.name}`;
    case 'Address':
      return ref.address;
    case 'Block':
      return ref.cidr;
    case 'Service':
      return `service ${ref.namespace}/${ref.name}`;
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Job':
    case 'CronJob':
      return `${ref.kind.toLowerCase()} ${ref.namespace}/${ref.name}`;
  }
}

/** The worst of several outcomes. */
export function worst(all: readonly Outcome[]): Outcome {
  return outcomes.find((outcome) => all.includes(outcome)) ?? 'UNKNOWN';
}

import type { FlowVerdict, Judge } from '../compiler/judge.ts';
import type { PolicyTrace } from '../compiler/trace.ts';
import type { FlowEnd } from '../model/flow.ts';
import type { ReasonCode } from './codes.ts';
import type { FlowStep, MissingFact, Outcome } from './explanation.ts';
import { sideContext } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';
import { explainSide } from './side.ts';
import type { ExplainedSide } from './side.ts';

/** A flow step with what its suggestions are made from. */
export interface ExplainedFlow {
  readonly step: FlowStep;
  readonly context: FlowContext;
  readonly egress: ExplainedSide;
  readonly ingress: ExplainedSide;
  readonly missing: readonly MissingFact[];
  /** It stands for several ranges of ports: no one edit is for all of them. */
  readonly scattered?: boolean;
}

/** What a flow step stands for besides its one flow. */
export interface FlowStepExtras {
  readonly count?: number;
  readonly ports?: string;
  readonly remark?: string;
}

/** Judges a flow with the tracer on: the explanation is this evaluation, rendered. */
export function explainFlow(context: FlowContext, judge: Judge, extras: FlowStepExtras = {}): ExplainedFlow {
  const { flow, from, arrival } = context;
  const { flow: last, to } = sideContext(context, 'ingress');
  const traces: { readonly egress: PolicyTrace[]; readonly ingress: PolicyTrace[] } = { egress: [], ingress: [] };
  const verdict = judge.judge(flow, {
    egress: (trace) => traces.egress.push(trace),
    ingress: (trace) => traces.ingress.push(trace),
  });
  const egress = explainSide(context, 'egress', verdict.egress, traces.egress, judge);
  const ingress = explainSide(sideContext(context, 'ingress'), 'ingress', verdict.ingress, traces.ingress, judge);
  const outcome = outcomeOf(verdict);
  return {
    context,
    egress,
    ingress,
    missing: outcome === 'UNKNOWN' ? [...egress.missing, ...ingress.missing] : [],
    step: {
      kind: 'flow',
      from,
      to,
      protocol: flow.protocol,
      ...(last.port === undefined ? {} : { port: last.port }),
      ...(arrival === undefined ? {} : { legs: legsOf(context, arrival) }),
      ...(extras.ports === undefined ? {} : { ports: extras.ports }),
      family: lacksAddress(flow.from) || lacksAddress(last.to) ? null : flow.family,
      verdict: outcome,
      codes: codesOf(outcome, egress, ingress),
      egress: egress.side,
      ingress: ingress.side,
      count: extras.count ?? 1,
      ...(extras.remark === undefined ? {} : { remark: extras.remark }),
    },
  };
}

function legsOf({ to, flow }: FlowContext, arrival: FlowContext): NonNullable<FlowStep['legs']> {
  return { to, ...(flow.port === undefined ? {} : { port: flow.port }), from: arrival.from };
}

/** ALLOWED needs a rule or an exemption on at least one side; UNPROTECTED passes because nothing isolates. */
export function outcomeOf({ verdict, egress, ingress }: FlowVerdict): Outcome {
  if (verdict === 'deny') return 'DENIED';
  if (verdict === 'unknown') return 'UNKNOWN';
  const open = [egress, ingress].every(
    ({ reason }) => reason === 'not-isolated' || reason === 'not-a-pod' || reason === 'host-network',
  );
  return open ? 'UNPROTECTED' : 'ALLOWED';
}

function codesOf(outcome: Outcome, egress: ExplainedSide, ingress: ExplainedSide): readonly ReasonCode[] {
  if (outcome === 'UNKNOWN') return ['E090'];
  if (outcome !== 'DENIED') return [];
  const denied = [egress, ingress].filter(({ side }) => side.verdict === 'deny');
  return [...new Set(denied.map(({ side }) => side.code))];
}

function lacksAddress(end: FlowEnd): boolean {
  return end.address === undefined;
}

import type { Judge } from '../compiler/judge.ts';
import type { Cluster } from './cluster.ts';
import type { ReasonCode } from './codes.ts';
import type { ExplainedDns } from './dns-step.ts';
import { worst } from './explanation.ts';
import type {
  Assumption,
  EndRef,
  Explanation,
  InputCounts,
  MissingFact,
  Outcome,
  Step,
  Warning,
} from './explanation.ts';
import { shortName, sideContext } from './flow-context.ts';
import type { ExplainedFlow } from './flow-step.ts';
import type { Question } from './explain.ts';
import { orPeersHelp } from './or-peers.ts';
import type { Walk } from './service-walk.ts';
import { isSilent } from './silent-namespaces.ts';
import { withSuggestions } from './suggest-edits.ts';
import type { SuggestedFlow } from './suggest-edits.ts';

/** Everything that was found out about a question. */
export interface Findings {
  readonly question: Question;
  readonly from: EndRef;
  readonly to: EndRef;
  readonly flows: readonly ExplainedFlow[];
  readonly walk: Walk | undefined;
  readonly dns: ExplainedDns | undefined;
  readonly manyFrom: boolean;
  readonly manyTo: boolean;
}

/** Flows that get edits: more would bury the answer. */
const maxSuggestedFlows = 3;

/** Names the outcome, all blockers, the missing facts and what would help. */
export function conclude(cluster: Cluster, judge: Judge, findings: Findings): Explanation {
  const { question, walk, dns } = findings;
  const dnsDenied =
    dns?.step.verdict === 'DENIED' ? dns.flows.filter(({ step }) => step.verdict === 'DENIED').slice(0, 1) : [];
  const blockers = [...dnsDenied, ...firstOf(findings.flows)].reduce((sum, flow) => sum + deniedSides(flow), 0);
  let next = 1;
  const suggest = (flow: ExplainedFlow, total: number): SuggestedFlow => {
    const suggested = withSuggestions(flow, judge, { firstBlocker: next, blockers: total });
    next += deniedSides(flow);
    return suggested;
  };
  const dnsFlows = dnsDenied.map((flow) => suggest(flow, blockers));
  const dnsStep =
    dns === undefined
      ? undefined
      : {
          ...dns.step,
          flows: dns.step.flows.map(
            (step) =>
              dnsFlows.find(
                ({ explained }) => explained.step.to === step.to && explained.step.protocol === step.protocol,
              )?.explained.step ?? step,
          ),
        };
  const single = findings.flows.length === 1;
  const details = representatives(findings.flows);
  const suggested = findings.flows.map((flow): SuggestedFlow => {
    if (!details.includes(flow) || flow.scattered === true) return { explained: flow };
    if (!single) return withSuggestions(flow, judge, { firstBlocker: 1, blockers: deniedSides(flow) });
    return suggest(flow, blockers);
  });
  const flows = suggested
    .map(({ explained }) => orPeersHelp(explained, judge))
    .map((flow, index) => {
      const combined = suggested[index]?.combined;
      return combined === undefined ? flow : { ...flow, step: { ...flow.step, combined } };
    });
  const outcomes: Outcome[] = flows.map(({ step }) => step.verdict);
  if (dnsStep?.verdict === 'DENIED' || dnsStep?.verdict === 'UNKNOWN') outcomes.push(dnsStep.verdict);
  if (walk?.dead !== undefined) outcomes.push('UNKNOWN');
  const verdict = worst(outcomes);
  const missingFacts =
    verdict === 'UNKNOWN' ? distinct([...(dns?.flows ?? []), ...flows].flatMap(({ missing }) => missing)) : [];
  const steps: Step[] = [
    ...(dnsStep === undefined ? [] : [dnsStep]),
    ...(walk?.steps ?? []),
    ...flows.map(({ step }) => step),
  ];
  return {
    verdict,
    codes: codes(verdict, steps, walk),
    question: {
      from: findings.from,
      to: findings.to,
      protocol: flows[0]?.step.protocol ?? question.protocol,
      port: question.port ?? null,
    },
    steps,
    missingFacts,
    assumptions: assumptions(missingFacts, flows),
    notes: notes(flows),
    warnings: warnings(flows, findings),
    help: [...(walk?.dead?.help ?? []), ...(missingFacts.length > 0 ? [missingHelp(missingFacts)] : [])],
    inputs: countInputs(cluster),
  };
}

/** What an answer was read from. */
export function countInputs({ inputs, snapshot }: Cluster): InputCounts {
  return {
    files: inputs,
    policies: snapshot.policies.size,
    pods: snapshot.pods.size,
    services: snapshot.services.size,
    namespaces: snapshot.namespaces.size,
    nodes: snapshot.nodes.size,
  };
}

/** The flows whose lines are shown: the first of every kind of answer, worst first. */
export function representatives(flows: readonly ExplainedFlow[]): readonly ExplainedFlow[] {
  const kinds = new Map<string, ExplainedFlow>();
  for (const flow of flows) {
    const key = `${flow.step.verdict} ${flow.step.codes.join(',')}`;
    if (!kinds.has(key)) kinds.set(key, flow);
  }
  const rank = (flow: ExplainedFlow): number =>
    ['DENIED', 'UNKNOWN', 'UNPROTECTED', 'ALLOWED'].indexOf(flow.step.verdict);
  return [...kinds.values()].sort((a, b) => rank(a) - rank(b)).slice(0, maxSuggestedFlows);
}

function firstOf(flows: readonly ExplainedFlow[]): readonly ExplainedFlow[] {
  return flows.length === 1 ? flows : [];
}

function deniedSides({ step }: ExplainedFlow): number {
  return step.verdict === 'DENIED' ? [step.egress, step.ingress].filter(({ verdict }) => verdict === 'deny').length : 0;
}

function codes(verdict: Outcome, steps: readonly Step[], walk: Walk | undefined): readonly ReasonCode[] {
  const found = new Set<ReasonCode>();
  for (const step of steps) {
    if (step.kind === 'dns' && step.verdict === 'DENIED') found.add('E060');
    if (step.kind === 'dns' && step.verdict === 'UNKNOWN' && verdict === 'UNKNOWN') found.add('E090');
    if (step.kind === 'flow' && step.verdict === verdict) for (const code of step.codes) found.add(code);
  }
  if (verdict === 'UNKNOWN' && walk?.dead !== undefined) found.add(walk.dead.code);
  return verdict === 'DENIED' || verdict === 'UNKNOWN' ? [...found] : [];
}

function distinct(facts: readonly MissingFact[]): readonly MissingFact[] {
  const seen = new Map<string, MissingFact>();
  for (const fact of facts) seen.set(JSON.stringify(fact), fact);
  return [...seen.values()];
}

function assumptions(missing: readonly MissingFact[], flows: readonly ExplainedFlow[]): readonly Assumption[] {
  const imaginary = new Set<string>();
  const silent = new Set<string>();
  let namespaces = false;
  for (const { context } of flows) {
    for (const end of [context.flow.from, sideContext(context, 'ingress').flow.to]) {
      if (end.kind === 'pod' && end.unknown?.has('labels') === true) {
        imaginary.add(end.pod.name);
        const { snapshot } = context.cluster;
        const { namespace } = end.pod;
        const hasPolicies = [...snapshot.policies.values()].some((policy) => policy.namespace === namespace);
        if (!hasPolicies && !isSilent(snapshot, namespace)) silent.add(namespace);
      }
      if (end.kind === 'pod' && !context.cluster.snapshot.namespaces.has(end.pod.namespace)) namespaces = true;
    }
  }
  if (missing.length === 0 && imaginary.size === 0) return [];
  const names = [...imaginary];
  const both = names.length === 2;
  const who = both
    ? 'both pods exist, run and do not use hostNetwork'
    : `${names.join(', ')} exists, runs and does not use hostNetwork`;
  return [
    ...(names.length === 0
      ? []
      : [
          { id: 'pods-exist-and-run', text: who },
          { id: 'pods-not-host-network', text: '' },
        ]),
    ...[...silent].map((namespace) => ({
      id: 'no-policies-in-namespace',
      text: `namespace "${namespace}" has no policies, as none are given`,
    })),
    ...(namespaces && missing.length > 0
      ? [
          {
            id: 'namespace-name-label',
            text: 'every namespace carries kubernetes.io/metadata.name (the API server sets it)',
          },
        ]
      : []),
  ];
}

function missingHelp(missing: readonly MissingFact[]): string {
  const kinds = new Set(missing.map(({ object }) => object.kind));
  const onlyAddresses = missing.every(({ facts }) => facts === 'addresses' || facts === 'node');
  if (onlyAddresses && !missing.some(({ object }) => object.kind === 'Namespace')) {
    return 'give the pods with their status (kubectl get pods -o yaml), or ask a cluster with --context NAME';
  }
  const what = kinds.has('Pod')
    ? kinds.has('Namespace')
      ? 'pods and namespaces'
      : 'pods'
    : kinds.has('Namespace')
      ? 'namespaces'
      : 'nodes';
  return `give the ${what} with -f, or ask a cluster with --context NAME`;
}

/** Policies that isolate without admitting anything are easily overlooked when the flow passes all the same. */
function notes(flows: readonly ExplainedFlow[]): readonly string[] {
  const [only] = flows;
  if (flows.length !== 1 || only?.step.verdict !== 'ALLOWED') return [];
  const { step } = only;
  const silent = new Map<string, string[]>();
  for (const side of [step.egress, step.ingress]) {
    for (const { policy, rules } of side.policies) {
      if (rules.length === 0) silent.set(policy, [...(silent.get(policy) ?? []), shortName(side.subject)]);
    }
  }
  return [...silent].map(
    ([policy, subjects]) =>
      `${policy} isolates ${subjects.length > 1 ? 'both pods' : subjects.join('')} and admits nothing`,
  );
}

/** Where NodeLocal DNSCache answers unless it is told otherwise. */
const usualNodeDns = '169.254.20.10';

const metadataAddresses = new Set(['169.254.169.254', 'fd00:ec2::254']);

function warnings(flows: readonly ExplainedFlow[], { walk, dns }: Findings): readonly Warning[] {
  const found: Warning[] = [];
  const open = flows.find(({ step }) => step.verdict === 'UNPROTECTED')?.step;
  if (open !== undefined) {
    if (open.ingress.code === 'E001') {
      found.push({ text: `every pod in the cluster and every routed address can connect to ${shortName(open.to)}` });
    } else if (open.egress.code === 'E001') {
      found.push({ text: `${shortName(open.from)} can connect to every address` });
    }
  }
  for (const { step, context } of flows) {
    const address = context.flow.to.kind === 'external' ? context.flow.to.address : undefined;
    if (address === usualNodeDns) {
      found.push({
        text: `NodeLocal DNSCache answers at ${address} on every node, and what stays on a node passes; if it does here, say --node-dns ${address}`,
      });
    }
    if (address === undefined || !metadataAddresses.has(address) || step.verdict !== 'ALLOWED') continue;
    found.push({ code: 'NP505', text: `this is the cloud metadata endpoint; \`except\` has no entry for ${address}` });
  }
  return [...found, ...[...(dns?.warnings ?? []), ...(walk?.warnings ?? [])].map((text) => ({ text }))];
}

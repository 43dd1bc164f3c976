import { reasonNames } from '../explain/codes.ts';
import type { Explanation, FlowStep, PolicyAnswer, SideExplanation, Step, Suggestion } from '../explain/explanation.ts';

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** An explanation as `-o json` prints it; schema in `schemas/explanation.json`. `before` is the answer without `--what-if`. */
export function toExplanationJson(explanation: Explanation, before?: Explanation): Json {
  const { verdict, codes, question, steps } = explanation;
  const suggestions = steps.flatMap((step) =>
    (step.kind === 'flow' ? [step] : step.kind === 'dns' ? step.flows : []).flatMap((flow) =>
      [flow.egress, flow.ingress].flatMap((side) => side.suggestions),
    ),
  );
  const value = {
    apiVersion: 'nftpolicy.dev/v1',
    kind: 'Explanation',
    verdict,
    codes,
    question,
    steps: steps.map(toStep),
    suggestions: suggestions.map(toSuggestion),
    missingFacts: explanation.missingFacts,
    assumptions: explanation.assumptions.map(({ id }) => id),
    warnings: explanation.warnings,
    installed: explanation.installed ?? null,
    inputs: explanation.inputs,
    ...(before === undefined
      ? {}
      : { before: { verdict: before.verdict, codes: before.codes, steps: before.steps.map(toStep) } }),
  };
  // Frames and texts are left behind by the functions above; what remains is plain data.
  return JSON.parse(JSON.stringify(value)) as Json;
}

function toStep(step: Step): unknown {
  switch (step.kind) {
    case 'dns':
      return {
        kind: step.kind,
        verdict: step.verdict,
        server: step.server,
        flows: step.flows.map(({ to, protocol, port, family, verdict }) => ({ to, protocol, port, family, verdict })),
      };
    case 'service': {
      const { kind, service, address, port, targetPort, endpoints, span } = step;
      return { kind, service, address, port, targetPort, endpoints, span };
    }
    case 'flow':
      return toFlow(step);
  }
}

function toFlow({
  kind,
  from,
  to,
  protocol,
  port,
  ports,
  family,
  verdict,
  egress,
  ingress,
  count,
  remark,
}: FlowStep): unknown {
  return {
    kind,
    from,
    to,
    protocol,
    port,
    ports,
    family,
    verdict,
    ...(count === 1 ? {} : { count }),
    ...(remark === undefined ? {} : { remark }),
    egress: toSide(egress),
    ingress: toSide(ingress),
  };
}

function toSide({ verdict, code, isolated, policies }: SideExplanation): unknown {
  return {
    verdict,
    reason: { code, name: reasonNames[code] },
    isolated: isolated === 'unknown' ? null : isolated === 'yes',
    policies: policies.map(toPolicy),
  };
}

function toPolicy({ policy, answer, span, rules }: PolicyAnswer): unknown {
  return { policy, answer, span, rules };
}

function toSuggestion({ code, lint, applicability, edits, effect }: Suggestion): unknown {
  return { code, rule: lint, applicability, edits, effect };
}

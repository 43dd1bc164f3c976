import type { Diagnostic } from '../model/diagnostic.ts';
import type { Direction } from '../model/policy.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { LintCode } from './codes.ts';
import type { NearMiss } from './explanation.ts';
import { subjectOf, shortName } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';
import { makeFrame } from './frame.ts';
import type { PathMark } from './frame.ts';
import { firstLine, labelFact, requirementPath, requirementSpan, requirementText } from './label-words.ts';
import { codeOf } from './near-miss.ts';
import type { Candidate } from './near-miss.ts';

/** A candidate in words, with the lines that make it miss. */
export function describeCandidate(candidate: Candidate, context: FlowContext, direction: Direction): NearMiss {
  switch (candidate.kind) {
    case 'rule':
      return describeRule(candidate, context, direction);
    case 'refused':
      return describeRefused(candidate, context, direction);
    case 'nearly-selected':
      return describeNearlySelected(candidate, context, direction);
    case 'ignored':
      return describeIgnored(candidate, context, direction);
  }
}

type Of<K extends Candidate['kind']> = Candidate & { readonly kind: K };

function describeRule({ policy, rule, conditions }: Of<'rule'>, context: FlowContext, direction: Direction): NearMiss {
  const { groups, failing } = conditions;
  const marks = groups.flatMap((group) =>
    group.parts
      .filter(({ answer }) => group.answer !== 'no' || answer === 'no')
      .map((part): PathMark => ({ ...part, primary: part.answer === 'no' })),
  );
  const frame = makeFrame(context.cluster.written(policy), ['spec', direction, rule], marks);
  const failed = groups.filter(({ answer }) => answer === 'no');
  const lint = failed.find((group) => group.lint !== undefined)?.lint;
  return {
    policy: policy.key,
    rule: rule + 1,
    code: codeOf(conditions),
    title: `${policy.key}, rule ${rule + 1} -- ${failing} of ${groups.length} ${groups.length === 1 ? 'condition' : 'conditions'} ${failing === 1 ? 'fails' : 'fail'}`,
    ...(frame === undefined ? {} : { frame }),
    facts: failed.flatMap(({ facts }) => facts),
    ...(lint === undefined ? {} : { lint }),
  };
}

/** What the decoder refused in a rule, or in a policy as a whole. */
export function problemsOf(
  { policy, rule }: Of<'refused'>,
  { cluster }: FlowContext,
  direction: Direction,
): readonly Diagnostic[] {
  return cluster
    .problems(policy)
    .filter(
      ({ severity, path }) =>
        severity === 'error' &&
        (rule === undefined
          ? path?.[0] === 'spec' && path[1] !== (direction === 'egress' ? 'ingress' : 'egress')
          : path?.[1] === direction && path[2] === rule),
    );
}

function describeRefused(candidate: Of<'refused'>, context: FlowContext, direction: Direction): NearMiss {
  const { policy, rule } = candidate;
  const written = context.cluster.written(policy);
  const marks = problemsOf(candidate, context, direction).map(({ path, span, message }): PathMark => {
    const at: FieldPath = path ?? [];
    const key = written?.locate(at);
    const place = key === undefined || written === undefined ? span : firstLine(written, key.pair);
    return { path: at, ...(place === undefined ? {} : { span: place }), primary: true, label: message };
  });
  const frame = makeFrame(written, rule === undefined ? ['spec'] : ['spec', direction, rule], marks);
  return {
    policy: policy.key,
    ...(rule === undefined ? {} : { rule: rule + 1 }),
    code: 'E022',
    title: `${policy.key}${rule === undefined ? '' : `, rule ${rule + 1}`} -- invalid, so it admits less than written`,
    ...(frame === undefined ? {} : { frame }),
    facts: [],
  };
}

function describeNearlySelected(
  { policy, requirement, selectsNobody }: Of<'nearly-selected'>,
  context: FlowContext,
  direction: Direction,
): NearMiss {
  const { end } = subjectOf(context, direction);
  const written = context.cluster.written(policy);
  const path = requirementPath(['spec', 'podSelector'], requirement);
  const span = requirementSpan(written, path);
  const labels = end.kind === 'pod' ? end.pod.labels : undefined;
  const name = shortName(subjectOf(context, direction).ref);
  const nobody = selectsNobody ? `; no pod in "${policy.namespace}" has ${requirementText(requirement)}` : '';
  const frame = makeFrame(
    written,
    ['spec', 'podSelector'],
    [
      {
        path,
        ...(span === undefined ? {} : { span }),
        primary: true,
        label: `${labelFact(name, requirement.key, labels)}${nobody}`,
      },
    ],
  );
  return {
    policy: policy.key,
    code: 'E050',
    title: `${policy.key} would select it but for 1 label`,
    ...(frame === undefined ? {} : { frame }),
    facts: [],
    ...(selectsNobody ? { lint: 'NP301' as const } : {}),
  };
}

function describeIgnored({ policy, rule }: Of<'ignored'>, context: FlowContext, direction: Direction): NearMiss {
  const written = context.cluster.written(policy);
  const word = direction === 'egress' ? 'Egress' : 'Ingress';
  const path: FieldPath = ['spec', 'policyTypes'];
  const spans = written?.locate(path);
  const count = policy[direction].rules.length;
  const rules = count === 1 ? `1 ${direction} rule` : `${count} ${direction} rules`;
  const marks: PathMark[] = [];
  if (spans !== undefined && written !== undefined) {
    marks.push({
      path,
      span: firstLine(written, spans.pair),
      primary: true,
      label: `without ${word} its ${direction} rules are ignored`,
    });
  }
  const section = written?.locate(['spec', direction]);
  if (section?.key !== undefined)
    marks.push({ path: ['spec', direction], span: section.key, primary: false, label: rules });
  const frame = makeFrame(written, path, marks);
  const lint: LintCode = 'NP207';
  return {
    policy: policy.key,
    ...(rule === undefined ? {} : { rule: rule + 1 }),
    code: 'E021',
    title:
      rule === undefined
        ? `${policy.key} has ${rules}, ignored because policyTypes has no ${word}`
        : `${policy.key}, rule ${rule + 1} -- would admit, but policyTypes has no ${word}`,
    ...(frame === undefined ? {} : { frame }),
    facts: [],
    lint,
  };
}

import { distance } from 'fastest-levenshtein';
import type { Requirement } from '../model/label-selector.ts';
import type { Labels } from '../model/labels.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import type { Direction, NetworkPolicy } from '../model/policy.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { TextEdit, WrittenObject } from './cluster.ts';
import type { LintCode, ReasonCode } from './codes.ts';
import type { ConditionGroup, ConditionPart } from './conditions.ts';
import { newRuleHelp, peerHelp } from './draft-words.ts';
import { addedRule, appended, peerLines, portLine, replaced } from './edit-text.ts';
import { pairIn, scalarIn, yamlScalar } from './flow-style.ts';
import { otherOf, shortName, subjectOf } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';
import { isOneLine, requirementPath } from './label-words.ts';
import { likeness } from './near-miss.ts';
import type { Candidate } from './near-miss.ts';
import { refusedDrafts } from './refused-drafts.ts';

/** An edit that may help; whether it does is judged before it is shown. */
export interface Draft {
  readonly code: ReasonCode;
  readonly help: string;
  readonly policy: NetworkPolicy;
  readonly edits: readonly TextEdit[];
  readonly lint?: LintCode;
  /** Meant beyond doubt: preferred even if it closes flows that the mistake opened. */
  readonly certain?: boolean;
}

/** Edits for a candidate, likeliest first. */
export function draftsFor(candidate: Candidate, context: FlowContext, direction: Direction): readonly Draft[] {
  const written = context.cluster.written(candidate.policy);
  if (written === undefined) return [];
  switch (candidate.kind) {
    case 'rule':
      return ruleDrafts(candidate, written, context, direction);
    case 'refused':
      return refusedDrafts(candidate, written, context, direction);
    case 'nearly-selected': {
      const { end } = subjectOf(context, direction);
      const labels = end.kind === 'pod' ? end.pod.labels : undefined;
      const near = requirementEdit(candidate.requirement, ['spec', 'podSelector'], written, labels, Infinity);
      const { policy } = candidate;
      return near === undefined
        ? []
        : [{ code: 'E050', policy, ...near, ...(candidate.selectsNobody ? { lint: 'NP301' as const } : {}) }];
    }
    case 'ignored': {
      const word = direction === 'egress' ? 'Egress' : 'Ingress';
      const edit = appended(written, ['spec', 'policyTypes'], [`- ${word}`]);
      const { policy } = candidate;
      return edit === undefined
        ? []
        : [{ code: 'E021', policy, help: `name ${word} in policyTypes`, edits: [edit], lint: 'NP207' }];
    }
  }
}

/** A new rule for exactly this flow, in the policy that means the subject most closely. */
export function newRuleDraft(
  policies: readonly NetworkPolicy[],
  context: FlowContext,
  direction: Direction,
  code: ReasonCode,
  help?: string,
): Draft | undefined {
  const { flow, cluster } = context;
  const ranked = policies
    .filter(({ invalid }) => !invalid)
    .map((policy) => ({
      policy,
      rules: policy[direction].rules.length > 0,
      aimed: policy.subjects.requirements.length > 0,
    }))
    .sort((a, b) => Number(b.rules) - Number(a.rules) || Number(b.aimed) - Number(a.aimed));
  for (const { policy } of ranked) {
    const written = cluster.written(policy);
    const peer = peerOf(context, direction, policy);
    if (written === undefined || peer === undefined) continue;
    const ports =
      flow.port === undefined ? [] : (dnsPorts(context) ?? [portLine(flow.protocol, flow.port, context.lastPort)]);
    const edit = addedRule(written, direction, peer, ports);
    if (edit !== undefined)
      return { code, help: help ?? newRuleHelp(policy, context, direction), policy, edits: [edit] };
  }
  return undefined;
}

function peerOf(context: FlowContext, direction: Direction, policy: NetworkPolicy): readonly string[] | undefined {
  const { end, ref } = otherOf(context, direction);
  // Labels that nobody told are not none: a peer without them would mean every pod of the namespace.
  if (end.kind === 'pod' && end.unknown?.has('labels') === true) return undefined;
  return peerLines(end, ref, policy.namespace);
}

/** Names are asked over UDP and, if the answer is long, over TCP: whoever opens one wants both. */
function dnsPorts({ flow }: FlowContext): readonly string[] | undefined {
  if (flow.port !== 53 || flow.to.kind !== 'pod' || flow.to.pod.namespace !== 'kube-system') return undefined;
  return [portLine('UDP', 53), portLine('TCP', 53)];
}

interface Edited {
  readonly help: string;
  readonly edits: readonly TextEdit[];
}

/** What fails where a rule means others than the asked peer, rather than this one by mistake. */
const meansOthers: ReadonlySet<ReasonCode> = new Set(['E010', 'E012', 'E014', 'E040']);

function ruleDrafts(
  { policy, rule, conditions }: Candidate & { readonly kind: 'rule' },
  written: WrittenObject,
  context: FlowContext,
  direction: Direction,
): readonly Draft[] {
  const base: FieldPath = ['spec', direction, rule];
  const failing = conditions.groups.filter(({ answer }) => answer === 'no');
  const perGroup = failing.map((group) => groupEdits(group, base, written, context, direction, policy));
  const [first] = failing;
  const code = first?.parts.find(({ answer }) => answer === 'no')?.code ?? 'E020';
  const lint = failing.length === 1 && first?.lint !== undefined ? { lint: first.lint } : {};
  const drafts: Draft[] = [];
  if (failing.length === 1) {
    for (const [index, edited] of (perGroup[0] ?? []).entries()) {
      const certain = index === 0 && (code === 'E033' || code === 'E031');
      drafts.push({ code, policy, ...edited, ...lint, certain });
    }
  } else {
    const all = perGroup.map(([best]) => best);
    if (all.every((edited) => edited !== undefined)) {
      drafts.push({
        code,
        policy,
        help: all.map(({ help }) => help).join('; '),
        edits: all.flatMap(({ edits }) => edits),
      });
    }
  }
  const peersFail = failing.every(({ kind }) => kind !== 'port' && kind !== 'invalid');
  if (peersFail && meansOthers.has(code) && policy[direction].rules[rule]?.ports === 'any') {
    const help = `add a rule to ${policy.key}: rule ${rule + 1} names no ports, so a peer in it could reach every one`;
    const draft = context.flow.port === undefined ? undefined : newRuleDraft([policy], context, direction, code, help);
    if (draft !== undefined) drafts.push(draft);
  }
  if (peersFail && code !== 'E041' && code !== 'E015') {
    const list = [...base, direction === 'egress' ? 'to' : 'from'];
    const peer = peerOf(context, direction, policy);
    const edit = peer === undefined ? undefined : appended(written, list, peer);
    if (edit !== undefined)
      drafts.push({ code, policy, help: peerHelp(code, rule, context, direction), edits: [edit], ...lint });
  }
  if (code === 'E041') {
    const meant = otherOf(context, direction).end.kind === 'pod' ? 'pod' : 'address';
    const help = `add a rule for this ${meant}; an exception cannot be re-opened inside its own ipBlock`;
    const draft = newRuleDraft([policy], context, direction, code, help);
    if (draft !== undefined) drafts.push(draft);
  }
  return drafts;
}

function groupEdits(
  group: ConditionGroup,
  base: FieldPath,
  written: WrittenObject,
  context: FlowContext,
  direction: Direction,
  policy: NetworkPolicy,
): readonly Edited[] {
  const part = group.parts.find(({ answer }) => answer === 'no');
  if (part === undefined) return [];
  switch (part.code) {
    case 'E010':
    case 'E012':
      return labelEdits(group, written, context, direction, policy, base);
    case 'E042': {
      if (part.expected !== '0.0.0.0/0' && part.expected !== '::/0') return [];
      const other = part.expected === '::/0' ? '0.0.0.0/0' : '::/0';
      const edit = appended(
        written,
        [...base, direction === 'egress' ? 'to' : 'from'],
        [`- ipBlock: {cidr: ${yamlScalar(other)}}`],
      );
      return edit === undefined
        ? []
        : [{ help: 'a block holds addresses of its own family only; name the other one too', edits: [edit] }];
    }
    case 'E030':
    case 'E031':
    case 'E032':
    case 'E033':
    case 'E034':
      return portEdits(part, base, written, context);
    default:
      return [];
  }
}

function labelEdits(
  group: ConditionGroup,
  written: WrittenObject,
  context: FlowContext,
  direction: Direction,
  policy: NetworkPolicy,
  base: FieldPath,
): readonly Edited[] {
  const { end } = otherOf(context, direction);
  if (end.kind !== 'pod') return [];
  const isPods = group.kind === 'podSelector';
  const name = end.pod.namespace as string;
  const labels = isPods
    ? end.pod.labels
    : (context.cluster.snapshot.namespaces.get(end.pod.namespace)?.labels ?? new Map([[namespaceNameLabel, name]]));
  const edits: TextEdit[] = [];
  const helps = new Set<string>();
  for (const part of group.parts) {
    if (part.answer !== 'no') continue;
    const found = requirementAt(part, policy, direction, base, isPods);
    if (found === undefined) return [];
    const { requirement, selector } = found;
    const pair = written.locate(requirementPath(selector, requirement))?.pair;
    const single = requirement.origin.kind === 'matchLabels' && requirement.values[0] === name;
    if (!isPods && single && requirement.key !== namespaceNameLabel && pair !== undefined && isOneLine(pair)) {
      edits.push(replaced(pair, pairIn(written, namespaceNameLabel, name)));
      helps.add(`every namespace carries its own name in ${namespaceNameLabel}`);
      continue;
    }
    const near = requirementEdit(requirement, selector, written, labels, 3);
    if (near === undefined) return [];
    edits.push(...near.edits);
    helps.add(near.help);
  }
  return [{ help: [...helps].join('; '), edits }];
}

/** The requirement a part stands for, with the path of its selector. */
function requirementAt(
  part: ConditionPart,
  policy: NetworkPolicy,
  direction: Direction,
  base: FieldPath,
  isPods: boolean,
): { readonly requirement: Requirement; readonly selector: FieldPath } | undefined {
  const selector = part.path.slice(0, -2);
  const rule = policy[direction].rules[Number(base[2])];
  const peer = rule === undefined || rule.peers === 'any' ? undefined : rule.peers[Number(part.path[4])];
  if (peer?.kind !== 'pods') return undefined;
  const requirements = (isPods ? peer.podSelector : peer.namespaceSelector)?.requirements ?? [];
  const requirement = requirements.find(
    (candidate) => String(requirementPath(selector, candidate)) === String(part.path),
  );
  return requirement === undefined ? undefined : { requirement, selector };
}

/** Did you mean: another value under this key, or this value under another key, at most `limit` letters away. */
function requirementEdit(
  requirement: Requirement,
  selector: FieldPath,
  written: WrittenObject,
  labels: Labels | undefined,
  limit: number,
): Edited | undefined {
  if (labels === undefined) return undefined;
  const path = requirementPath(selector, requirement);
  const has = labels.get(requirement.key);
  if (requirement.operator === 'NotIn' || requirement.operator === 'DoesNotExist')
    return excludedEdit(requirement, path, written);
  if (requirement.operator !== 'In') return undefined;
  const inLabels = requirement.origin.kind === 'matchLabels';
  if (has !== undefined) {
    if (limit !== Infinity && likeness(requirement, { labels }) > limit) return undefined;
    const values = [...requirement.values].sort((a, b) => distance(a, has) - distance(b, has));
    const span = inLabels ? written.locate(path)?.value : valueSpan(written, path, values[0]);
    if (span === undefined || !isOneLine(span)) return undefined;
    return { help: `did you mean "${has}"?`, edits: [replaced(span, scalarIn(written, has))] };
  }
  const [other] = [...labels]
    .filter(([, value]) => requirement.values.includes(value))
    .sort(([a], [b]) => distance(a, requirement.key) - distance(b, requirement.key));
  if (other === undefined || !inLabels) return undefined;
  const pair = written.locate(path)?.pair;
  if (pair === undefined || !isOneLine(pair)) return undefined;
  return {
    help: `did you mean the label "${other[0]}"?`,
    edits: [replaced(pair, pairIn(written, other[0], other[1]))],
  };
}

function valueSpan(written: WrittenObject, path: FieldPath, value: string | undefined) {
  for (let index = 0; index < 64; index++) {
    const spans = written.locate([...path, 'values', index]);
    if (spans === undefined) return undefined;
    const text = written.text
      .line(spans.value.start.line)
      .slice(spans.value.start.column - 1, spans.value.end.column - 1);
    if (text.replaceAll(/^["']|["']$/g, '') === value) return spans.value;
  }
  return undefined;
}

/** A requirement that shuts the peer out: the opposite operator lets in what it names. */
function excludedEdit(requirement: Requirement, path: FieldPath, written: WrittenObject): Edited | undefined {
  const span = written.locate([...path, 'operator'])?.value;
  if (span === undefined || !isOneLine(span)) return undefined;
  const opposite = requirement.operator === 'NotIn' ? 'In' : 'Exists';
  return {
    help: `${requirement.operator} shuts these out; ${opposite} lets them in`,
    edits: [replaced(span, scalarIn(written, opposite))],
  };
}

function portEdits(
  part: ConditionPart,
  base: FieldPath,
  written: WrittenObject,
  context: FlowContext,
): readonly Edited[] {
  const { flow } = context;
  const to = shortName(context.to);
  const list = [...base, 'ports'];
  const entry = part.path.slice(0, list.length + 1);
  const port = written.locate([...entry, 'port'])?.value;
  const edits: Edited[] = [];
  if (flow.port === undefined) return edits;
  if (part.code === 'E031' && flow.to.kind === 'pod' && port !== undefined) {
    const declared = flow.to.pod.namedPorts.find(
      (named) => named.port === flow.port && named.protocol === flow.protocol,
    );
    edits.push(
      declared === undefined
        ? { help: `no port of ${to} has this name; name the number`, edits: [replaced(port, String(flow.port))] }
        : {
            help: `${to} names this port "${declared.name}"`,
            edits: [replaced(port, scalarIn(written, declared.name))],
          },
    );
  }
  if (part.code === 'E033' && port !== undefined && written.locate([...entry, 'endPort']) === undefined) {
    edits.push({ help: "name the pod's port", edits: [replaced(port, String(flow.port))] });
  }
  if (part.code === 'E032') {
    const protocol = written.locate([...entry, 'protocol'])?.value;
    const numberFits =
      port !== undefined &&
      written.text.line(port.start.line).slice(port.start.column - 1, port.end.column - 1) === String(flow.port);
    if (protocol !== undefined && numberFits && flow.protocol !== 'ICMP') {
      edits.push({
        help: `this flow is ${flow.protocol}`,
        edits: [replaced(protocol, scalarIn(written, flow.protocol))],
      });
    }
  }
  if (flow.protocol !== 'ICMP') {
    const added = appended(written, list, [portLine(flow.protocol, flow.port, context.lastPort)]);
    const help =
      part.code === 'E032'
        ? `a port entry means one protocol; add ${flow.protocol}`
        : `add the port to rule ${Number(base[2]) + 1}`;
    if (added !== undefined) edits.push({ help, edits: [added] });
  }
  return edits;
}

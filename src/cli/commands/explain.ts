import { createJudge } from '../../compiler/judge.ts';
import type { FlowVerdict } from '../../compiler/judge.ts';
import type { SideVerdict } from '../../compiler/evaluate.ts';
import { createDirectory, sharedFamilies, toEnd } from '../../explain/ends.ts';
import type { Directory, Party } from '../../explain/ends.ts';
import { parseTarget } from '../../explain/question.ts';
import type { Target } from '../../explain/question.ts';
import type { Flow, FlowEnd } from '../../model/flow.ts';
import { parseIp } from '../../model/ip.ts';
import type { Direction } from '../../model/policy.ts';
import type { FieldPath } from '../../model/source-ref.ts';
import { renderDiagnostics } from '../../report/diagnostics.ts';
import { loadManifests } from '../../source/manifests/files.ts';
import type { LoadedManifests } from '../../source/manifests/files.ts';
import { snapshotOf } from '../../source/store.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Arguments of `policy explain`. */
export interface ExplainOptions {
  readonly from: string;
  readonly to: string;
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly namespace: string;
  readonly output: 'text' | 'json';
}

/** Answers one question from manifests: the verdict, and the policy, rule and line that decide each side. */
export function explainCommand(context: Context, options: ExplainOptions): ExitCode {
  const refuse = (message: string): ExitCode => {
    context.stderr.write(`policy explain: ${message}\n`);
    return exitCode.usage;
  };
  if (options.filename.length === 0) return refuse('no manifests: give files or directories with -f');
  const target = parseTarget(options.to);
  if (!target.ok) return refuse(target.error);
  const stdin = options.filename.includes('-') ? { stdin: context.readStdin() } : {};
  const loaded = loadManifests({ paths: options.filename, recursive: options.recursive, ...stdin });
  context.stderr.write(renderDiagnostics(loaded.diagnostics));
  if (loaded.objects.length === 0) return refuse('the manifests hold no pods and no policies');

  const snapshot = snapshotOf(loaded.objects.map(({ object }) => object));
  const directory = createDirectory(snapshot);
  const from = findParty(directory, options.from, options.namespace);
  if (typeof from === 'string') return refuse(from);
  const to = findParty(directory, target.value.end, options.namespace);
  if (typeof to === 'string') return refuse(to);
  const flow = toFlow(from, to, target.value);
  if (typeof flow === 'string') return refuse(flow);

  const verdict = createJudge(snapshot).judge(flow);
  context.stdout.write(renderVerdict(flow, verdict, loaded));
  return verdict.verdict === 'allow' ? exitCode.ok : verdict.verdict === 'deny' ? exitCode.no : exitCode.unknown;
}

function findParty(directory: Directory, text: string, namespace: string): Party | string {
  const full = text.includes('/') || parseIp(text) !== undefined ? text : `${namespace}/${text}`;
  const party = directory.find(full);
  if (typeof party !== 'string') return party;
  switch (party) {
    case 'no-such-pod':
      return `there is no pod ${full} in the manifests`;
    case 'no-such-node':
      return `there is no node ${full.slice('node/'.length)} in the manifests`;
    case 'finished-pod':
      return `pod ${full} has finished: it neither sends nor receives`;
    case 'not-an-address':
      return `${JSON.stringify(text)} is no pod and no address`;
  }
}

function toFlow(from: Party, to: Party, target: Target): Flow | string {
  const [family] = sharedFamilies(from, to);
  const ends = family === undefined ? [] : [toEnd(from, family), toEnd(to, family)];
  if (family === undefined || ends[0] === undefined || ends[1] === undefined)
    return 'the two ends share no address family';
  const base = { from: ends[0], to: ends[1], family, protocol: target.protocol };
  if (target.protocol === 'ICMP') return base;
  if (target.port === undefined) return 'no port: write TO:PORT';
  if (typeof target.port === 'number') return { ...base, port: target.port };
  const declared = to.kind === 'pod' ? to.pod.namedPorts : [];
  const named = declared.find(({ name, protocol }) => name === target.port && protocol === target.protocol);
  return named === undefined ? `the destination declares no port named ${target.port}` : { ...base, port: named.port };
}

function renderVerdict(flow: Flow, verdict: FlowVerdict, loaded: LoadedManifests): string {
  const open = verdict.egress.reason === 'not-isolated' || verdict.egress.reason === 'not-a-pod';
  const openIn = verdict.ingress.reason === 'not-isolated' || verdict.ingress.reason === 'not-a-pod';
  const words = { allow: open && openIn ? 'UNPROTECTED' : 'ALLOWED', deny: 'DENIED', unknown: 'UNKNOWN' };
  const what = flow.port === undefined ? flow.protocol : `${flow.protocol} ${flow.port}`;
  const lines = [
    `${words[verdict.verdict]}  ${endName(flow.from)} -> ${endName(flow.to)}  ${what}`,
    ...renderSide('egress', flow, verdict.egress, loaded),
    ...renderSide('ingress', flow, verdict.ingress, loaded),
  ];
  return `${lines.join('\n')}\n`;
}

function renderSide(direction: Direction, flow: Flow, side: SideVerdict, loaded: LoadedManifests): string[] {
  const subject = direction === 'egress' ? flow.from : flow.to;
  const title = direction === 'egress' ? `egress from ${endName(subject)}` : `ingress to ${endName(subject)}`;
  if (side.reason === 'allowed-by-rule') {
    return side.admittedBy.map(
      ({ policy, index }) =>
        `  ${title}: admitted by ${policy}, rule ${index + 1}  ${place(loaded, policy, ['spec', direction, index])}`,
    );
  }
  if (side.verdict !== 'deny' || subject.kind !== 'pod') return [`  ${title}: ${side.reason.replaceAll('-', ' ')}`];
  const policies = loaded.objects.flatMap(({ object }) =>
    object.kind === 'NetworkPolicy' && object[direction].isolates && object.namespace === subject.pod.namespace
      ? [object]
      : [],
  );
  const isolating = createJudge(snapshotOf([...policies, subject.pod]))
    .effectivePolicy(subject)
    ?.[direction].policies.map(({ policy, rules }) => {
      const [first] = rules;
      const where = place(
        loaded,
        policy.key,
        first === undefined ? ['metadata', 'name'] : ['spec', direction, first.provenance.index],
      );
      const count =
        rules.length === 0
          ? 'no rules'
          : rules.length === 1
            ? 'rule 1 does not match'
            : `none of rules 1-${rules.length} matches`;
      return `    ${policy.key}: ${count}  ${where}`;
    });
  return [`  ${title}: isolated, no rule admits`, ...(isolating ?? [])];
}

function place(loaded: LoadedManifests, policy: string, path: FieldPath): string {
  const found = loaded.objects.find(({ object }) => object.kind === 'NetworkPolicy' && object.key === policy);
  if (found === undefined) return '';
  const { spans } = found.document.locateNearest(path);
  return `${spans.value.file}:${spans.value.start.line}`;
}

function endName(end: FlowEnd): string {
  if (end.kind === 'pod') return end.pod.key;
  return end.kind === 'node' ? `node/${end.name ?? '?'}` : end.address;
}

import type { NodeState, ObjectProblem, PodSection, StatusReport } from '../controller/status-report.ts';
import { renderAge, renderColumns } from './columns.ts';

const stateWords: Readonly<Record<NodeState, string>> = {
  syncing: 'SYNCING: objects are still being read; what was in the kernel before stays',
  'cold-start': 'COLD START: enforced from objects kept on disk, since the API server has not sent all objects',
  enforcing: 'ENFORCING',
  refused: 'REFUSED: this node cannot be policed; nothing is written, what was in the kernel before stays',
  failing: 'FAILING: the newest rules are not in the kernel; the older ones hold',
};

/** What a node enforces, for people. `nowMs` is the time of the question. */
export function renderStatus(report: StatusReport, nowMs: number): string {
  const ago = (iso: string): string => `${renderAge((nowMs - Date.parse(iso)) / 1000)} ago`;
  const { generation, lastApply, verifiedAt } = report;
  const nft = report.nft === undefined ? [] : [`nft ${report.nft}`];
  const facts: string[][] = [
    ['state', stateWords[report.state]],
    ['node', [report.node, `agent ${report.version}`, ...nft, `started ${ago(report.startedAt)}`].join(', ')],
  ];
  if (report.enforcingSince !== undefined) facts.push(['enforcing since', report.enforcingSince]);
  facts.push(['generation', describeGeneration(generation)]);
  if (lastApply !== undefined) {
    const result = lastApply.ok ? 'written' : `failed: ${lastApply.error ?? ''}; tried`;
    const verified = verifiedAt === undefined ? '' : `, compared ${ago(verifiedAt)}`;
    const repaired = report.driftRepaired === 0 ? '' : `, repaired ${report.driftRepaired} times`;
    facts.push(['kernel', `${result} ${ago(lastApply.at)}${verified}${repaired}`]);
  }
  facts.push(['mode', describeMode(report)], ['objects', describeObjects(report, ago)]);
  return (
    renderColumns(facts) +
    renderPolicy(report) +
    section(
      `pods (${report.pods.length} judged)`,
      report.pods.map((pod) => [pod.pod, pod.interface, describe('in', pod.ingress), describe('out', pod.egress)]),
    ) +
    section(
      'closed pods',
      report.closedPods.map(({ pod, code, message, help }) => [pod, code, `${withoutPod(message, pod)}. ${help}`]),
    ) +
    section(
      'not in the kernel',
      report.problems.map(({ kind, object, message, pods }) => [
        object ?? kind,
        pods.length === 0 ? message : `${message} (closed: ${pods.join(', ')})`,
      ]),
    ) +
    section(
      'this node',
      report.refusals.map(({ code, severity, seen, why, help }) => [
        severity === 'refuse' ? 'REFUSED' : 'warning',
        code,
        `${seen}: ${why}. ${help}`,
      ]),
    ) +
    renderObjectProblems(report) +
    (report.hostProblem === undefined ? '' : `\nthe node cannot be observed: ${report.hostProblem}\n`)
  );
}

function describeGeneration({ objects, applied }: StatusReport['generation']): string {
  if (applied === undefined) return `${objects}, none in the kernel yet`;
  return applied >= objects ? `${objects}, in the kernel` : `${objects}, ${applied} in the kernel`;
}

function describeMode({ options, nodeDns = [] }: StatusReport): string {
  const { enforce, unknownPods, reject, policeNodeEgress, recordDenied } = options;
  const exceptDns = nodeDns.length === 0 ? '' : ` except DNS at ${nodeDns.join(', ')}`;
  return [
    enforce,
    unknownPods === 'drop' ? 'unknown pods closed' : 'unknown pods OPEN',
    ...(reject ? ['refusals answered'] : []),
    ...(policeNodeEgress ? [`egress to the own node policed${exceptDns}`] : []),
    ...(recordDenied ? [] : ['denials not recorded']),
  ].join(', ');
}

function describeObjects({ source, diagnostics }: StatusReport, ago: (iso: string) => string): string {
  const kinds = source.kinds.map(({ kind, objects, synced, state, lastHeardAt, problem }) => {
    const heard = synced ? '' : ', not read yet';
    const trouble =
      problem === undefined
        ? ''
        : ` (${state}: ${problem}; last heard ${lastHeardAt === undefined ? 'never' : ago(lastHeardAt)})`;
    return `${objects} ${kind}${heard}${trouble}`;
  });
  const wrong = diagnostics.errors + diagnostics.warnings;
  const problems = wrong === 0 ? '' : `; ${diagnostics.errors} errors and ${diagnostics.warnings} warnings in them`;
  return `${kinds.join(', ')}, from ${source.from}${problems}`;
}

function renderPolicy({ policy }: StatusReport): string {
  if (policy === undefined) return '';
  const { generation = 0, resourceVersion } = policy;
  const version = `generation ${generation}${resourceVersion === undefined ? '' : `, resourceVersion ${resourceVersion}`}`;
  const state = !policy.known
    ? 'is not known here'
    : policy.applied
      ? `is in the kernel (${version})`
      : `is not in the kernel yet (${version})`;
  const less = policy.problems.length === 0 ? '' : `, and admits less than is written: ${policy.problems.join('; ')}`;
  return `\npolicy ${policy.policy} ${state}${less}\n`;
}

/** Lines shown before the rest is only counted. */
const shownProblems = 20;

function renderObjectProblems({ objectProblems, diagnostics }: StatusReport): string {
  const shown = objectProblems.slice(0, shownProblems);
  const more = diagnostics.errors + diagnostics.warnings - shown.length;
  return (
    section(
      'objects with problems',
      shown.map((problem) => [problem.object ?? problem.place ?? '', problem.code, describeProblem(problem)]),
    ) + (more > 0 ? `  and ${more} more\n` : '')
  );
}

function describeProblem({ object, field, place, message, help }: ObjectProblem): string {
  const where = [object === undefined ? undefined : place, field].filter((part) => part !== undefined);
  return `${where.map((part) => `${part}: `).join('')}${message}.${help === undefined ? '' : ` ${help}`}`;
}

/** The pod stands before the message already. */
function withoutPod(message: string, pod: string): string {
  const prefix = `pod ${pod} stays closed: `;
  return message.startsWith(prefix) ? message.slice(prefix.length) : message;
}

function describe(direction: 'in' | 'out', { isolated, policies, audits }: PodSection): string {
  const audited = audits.length === 0 ? '' : ` (audit only: ${audits.join(', ')})`;
  return `${direction}: ${isolated ? policies.join(', ') : 'open'}${audited}`;
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : `\n${title}\n${renderColumns(rows, '  ')}`;
}

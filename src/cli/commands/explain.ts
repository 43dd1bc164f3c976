import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Cluster } from '../../explain/cluster.ts';
import { explain } from '../../explain/explain.ts';
import type { Question } from '../../explain/explain.ts';
import type { Explanation, Outcome } from '../../explain/explanation.ts';
import { parseKind } from '../../explain/kinds.ts';
import { didYouMean } from '../../explain/locate.ts';
import { parseTarget } from '../../explain/question.ts';
import type { FlowProtocol } from '../../model/flow.ts';
import { parseIp } from '../../model/ip.ts';
import type { IpAddress } from '../../model/ip.ts';
import { renderDiagnostics } from '../../report/diagnostics.ts';
import { toExplanationJson } from '../../report/explanation-json.ts';
import { headline, renderExplanation } from '../../report/explanation-text.ts';
import type { TextStyle } from '../../report/explanation-text.ts';
import { coloured, plain } from '../../report/style.ts';
import { renderYaml } from '../../report/yaml-value.ts';
import { isUnread } from '../../source/manifests/input-diagnostic.ts';
import { objectTitle } from '../../source/object-name.ts';
import type { UnreadFacts } from '../../explain/unread.ts';
import { withoutEnds, withUnread } from '../../explain/unread.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { fileCluster } from '../explain/file-cluster.ts';
import type { ClusterChange } from '../explain/file-cluster.ts';
import { asksKernel } from '../explain/kernel-question.ts';
import { loadInputs } from '../explain/load-inputs.ts';
import { unreadTexts } from '../explain/unread-texts.ts';
import { hasColour } from '../has-colour.ts';
import type { LiveFlags } from '../live-cluster.ts';
import { asksCluster, readInputs } from '../load-explain-inputs.ts';
import type { ExplainInputs } from '../load-explain-inputs.ts';
import type { InstalledFlags } from './explain-installed.ts';

/** Arguments of `policy explain`. */
export interface ExplainOptions extends LiveFlags, Omit<InstalledFlags, 'trace'> {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly kustomize?: string;
  readonly namespace?: string;
  readonly output: 'text' | 'wide' | 'json' | 'yaml';
  readonly port?: string;
  readonly protocol?: 'tcp' | 'udp' | 'sctp' | 'icmp';
  readonly family?: '4' | '6';
  readonly whatIf: readonly string[];
  readonly without: readonly string[];
  readonly expect?: 'allow' | 'deny';
  readonly quiet: boolean;
  readonly dns: boolean;
  readonly dnsService: string;
  readonly policeNodeEgress: boolean;
  /** Addresses, separated by commas. */
  readonly nodeDns?: string;
  readonly color: 'auto' | 'always' | 'never';
  readonly code?: string;
  /** Seconds; `true` for the default. */
  readonly trace?: string | boolean;
}

/** Longest line of a source file that is shown whole when nobody's terminal says otherwise. */
const unlimitedColumns = 160;

/** Answers one question from manifests or a cluster: the verdict, and the lines of YAML that decide it. */
export async function explainCommand(context: Context, options: ExplainOptions): Promise<ExitCode> {
  const refuse = (message: string): ExitCode => {
    context.stderr.write(`policy explain: ${message}\n`);
    return exitCode.usage;
  };
  if (options.code !== undefined) return await printCode(context, options.code, refuse);
  if (options.from === undefined || options.to === undefined)
    return refuse('say who asks for whom: policy explain FROM TO:PORT');
  const trace = traceSeconds(options.trace);
  if (trace === null) return refuse(`--trace ${String(options.trace)} is no number of seconds between 1 and 600`);
  const nodeDns = addressSet(options.nodeDns);
  if (nodeDns === undefined)
    return refuse(`--node-dns takes addresses, separated by commas: 169.254.20.10, not ${options.nodeDns}`);
  const live = asksCluster(options);
  // The namespace of a context is known only once it is read; how the question is written can be judged before.
  const written = toQuestion(options.from, options.to, options, options.namespace ?? 'default');
  if (typeof written === 'string') return refuse(written);
  const inputs = await readInputs(context, options, written);
  if (!inputs.ok) return refuse(inputs.error);
  try {
    return await answer(context, options, { inputs, written, live, trace, nodeDns }, refuse);
  } finally {
    inputs.api?.access.close();
  }
}

interface Asked {
  readonly inputs: ExplainInputs & { readonly ok: true };
  readonly written: Question;
  readonly live: boolean;
  readonly trace: number | undefined;
  readonly nodeDns: ReadonlySet<IpAddress>;
}

async function answer(
  context: Context,
  options: ExplainOptions,
  { inputs, written, live, trace, nodeDns }: Asked,
  refuse: (message: string) => ExitCode,
): Promise<ExitCode> {
  const question = { ...written, namespace: inputs.namespace };
  context.stderr.write(renderDiagnostics(inputs.loaded.diagnostics));
  if (inputs.loaded.diagnostics.some(({ code }) => code === 'I001')) return refuse('not all inputs could be read');
  const unread = [inputs.unread, unreadTexts(inputs.loaded)].flatMap((facts) => facts ?? []);
  if (inputs.loaded.objects.length === 0 && inputs.unread === undefined)
    return refuse('the manifests hold no pods and no policies');

  // Of a cluster everything about the ends was read that may be.
  const complete = live && inputs.unread?.ends.length === 0 && !inputs.unread.owners;
  const cluster = fileCluster(inputs.loaded, inputs.names, {}, complete);
  const operator = { policeNodeEgress: options.policeNodeEgress, nodeDns };
  const inPlace = (error: string): string => (live ? error.replaceAll('in the manifests', 'in the cluster') : error);
  const cannotAnswer = (error: string): ExitCode => {
    const blind = inputs.unread === undefined ? undefined : withoutEnds(cluster, question, inputs.unread);
    if (blind === undefined) return refuse(inPlace(error));
    print(context, options, blind);
    return toExit(blind.verdict, options.expect);
  };
  const now = explain(cluster, question, operator);
  const change = toChange(context, cluster, question.namespace, options);
  if (typeof change === 'string') return refuse(inPlace(change));
  if (change === undefined) {
    if (!now.ok) return cannotAnswer(now.error);
    const told = known(now.value, unread);
    const found = asksKernel(context, cluster, told, options)
      ? await (
          await import('./explain-installed.ts')
        ).askInstalled(context, cluster, told, { ...options, trace }, inputs.api)
      : told;
    print(context, options, found);
    return toExit(found.verdict, options.expect);
  }
  const changed = fileCluster(inputs.loaded, [...inputs.names, ...change.names], change, complete);
  const after = explain(changed, question, operator);
  if (!after.ok) return cannotAnswer(after.error);
  const told = known(after.value, unread);
  print(context, options, told, now.ok ? known(now.value, unread) : undefined);
  return toExit(told.verdict, options.expect);
}

function known(explanation: Explanation, unread: readonly UnreadFacts[]): Explanation {
  return unread.reduce(withUnread, explanation);
}

/** Addresses of a list; `undefined` if one is none. */
function addressSet(text: string | undefined): ReadonlySet<IpAddress> | undefined {
  const addresses = new Set<IpAddress>();
  for (const part of text === undefined || text === 'off' ? [] : text.split(',')) {
    const address = parseIp(part.trim());
    if (address === undefined) return undefined;
    addresses.add(address);
  }
  return addresses;
}

/** How long `--trace` waits; `undefined` without it, `null` if it is no time. */
function traceSeconds(given: string | boolean | undefined): number | undefined | null {
  if (given === undefined || given === false) return undefined;
  if (given === true) return 5;
  const seconds = Number(given);
  return seconds >= 1 && seconds <= 600 ? seconds : null;
}

function toQuestion(from: string, to: string, options: ExplainOptions, namespace: string): Question | string {
  const target = parseTarget(to);
  if (!target.ok) return target.error;
  const source = parseTarget(from);
  if (!source.ok) return source.error;
  if (source.value.port !== undefined)
    return `FROM has no port: policies see the destination's port only; write ${source.value.end}`;
  const given = options.protocol?.toUpperCase() as FlowProtocol | undefined;
  if (given !== undefined && target.value.protocolGiven && given !== target.value.protocol)
    return `--protocol ${options.protocol} contradicts ${to}`;
  if (options.port !== undefined && target.value.port !== undefined)
    return `the port is given twice: in ${to} and as --port`;
  const byFlag = options.port === undefined ? undefined : parseTarget(`x:${options.port}`);
  if (byFlag !== undefined && !byFlag.ok) return byFlag.error;
  const port = target.value.port ?? byFlag?.value.port;
  const protocolFlag = byFlag?.value.protocolGiven === true ? byFlag.value.protocol : undefined;
  const server = /^(?<namespace>[^/]+)\/(?<name>[^/]+)$/.exec(options.dnsService)?.groups;
  if (server?.['namespace'] === undefined || server['name'] === undefined)
    return `--dns-service is NAMESPACE/NAME, not ${options.dnsService}`;
  return {
    from: source.value.end,
    to: target.value.end,
    ...(port === undefined ? {} : { port }),
    protocol: given ?? protocolFlag ?? target.value.protocol,
    protocolGiven: given !== undefined || protocolFlag !== undefined || target.value.protocolGiven,
    namespace,
    ...(options.family === undefined ? {} : { family: `IPv${options.family}` }),
    dns: options.dns,
    dnsService: { namespace: server['namespace'], name: server['name'] },
  };
}

/** What `--what-if` and `--without` change; a text says why they cannot be used. */
function toChange(
  context: Context,
  cluster: Cluster,
  namespace: string,
  { whatIf, without, recursive }: ExplainOptions,
): (ClusterChange & { readonly names: readonly string[] }) | string | undefined {
  if (whatIf.length === 0 && without.length === 0) return undefined;
  const inputs = whatIf.length === 0 ? undefined : loadInputs(context, { filename: whatIf, recursive });
  if (inputs !== undefined && !inputs.ok) return inputs.error;
  if (inputs?.ok === true) {
    context.stderr.write(renderDiagnostics(inputs.loaded.diagnostics));
    if (inputs.loaded.diagnostics.some(isUnread)) return 'not all of --what-if could be read';
  }
  const { snapshot } = cluster;
  const titles = new Set(
    [snapshot.policies, snapshot.pods, snapshot.services, snapshot.namespaces, snapshot.nodes].flatMap((map) =>
      [...map.values()].map(objectTitle),
    ),
  );
  const remove = new Set<string>();
  for (const text of without) {
    const title = toTitle(text, namespace);
    if (title === undefined)
      return `--without takes KIND/NAMESPACE/NAME or KIND/NAME of a netpol, pod, svc, ns or node, not ${text}`;
    if (!titles.has(title)) {
      const [kind = '', name = ''] = title.split(' ');
      const [word = ''] = text.split('/');
      const others = [...titles].flatMap((other) =>
        other.startsWith(`${kind} `) ? [other.slice(kind.length + 1)] : [],
      );
      return `--without ${text}: there is no ${title} in the manifests${didYouMean(name, others, (other) => `${word}/${other}`)}`;
    }
    remove.add(title);
  }
  return { ...(inputs === undefined ? {} : { apply: inputs.loaded }), remove, names: inputs?.names ?? [] };
}

const policyWords = new Set([
  'netpol',
  'networkpolicy',
  'networkpolicies',
  'networkpolicies.networking.k8s.io',
  'policy',
]);

function toTitle(text: string, namespace: string): string | undefined {
  const [kindText = '', first, second, ...more] = text.split('/');
  if (first === undefined || more.length > 0) return undefined;
  const word = kindText.toLowerCase();
  const kind = policyWords.has(word)
    ? 'NetworkPolicy'
    : ['ns', 'namespace', 'namespaces'].includes(word)
      ? 'Namespace'
      : parseKind(word);
  if (kind === 'Namespace' || kind === 'Node') return second === undefined ? `${kind} ${first}` : undefined;
  if (kind !== 'NetworkPolicy' && kind !== 'Pod' && kind !== 'Service') return undefined;
  return second === undefined ? `${kind} ${namespace}/${first}` : `${kind} ${first}/${second}`;
}

function print(context: Context, options: ExplainOptions, explanation: Explanation, before?: Explanation): void {
  if (options.quiet) return;
  const { stdout } = context;
  if (options.output === 'json') stdout.write(`${JSON.stringify(toExplanationJson(explanation, before), null, 1)}\n`);
  else if (options.output === 'yaml') stdout.write(renderYaml(toExplanationJson(explanation, before)));
  else {
    const style = toStyle(context, options);
    const text = renderExplanation(explanation, style);
    if (before === undefined) stdout.write(text);
    else {
      const [first = '', ...rest] = text.split('\n');
      const flows = before.steps.filter((step) => step.kind === 'flow');
      stdout.write([first, `before: ${headline(before, flows, style)}`, ...rest].join('\n'));
    }
  }
}

function toStyle(context: Context, { output, color }: ExplainOptions): TextStyle {
  const { stdout } = context;
  const wanted = color === 'always' || (color === 'auto' && hasColour(context));
  return {
    wide: output === 'wide',
    columns: stdout.columns ?? unlimitedColumns,
    paint: wanted ? coloured : plain,
  };
}

function toExit(verdict: Outcome, expected: 'allow' | 'deny' | undefined): ExitCode {
  if (verdict === 'UNKNOWN') return exitCode.unknown;
  const passes = verdict !== 'DENIED';
  if (expected !== undefined) return passes === (expected === 'allow') ? exitCode.ok : exitCode.no;
  return passes ? exitCode.ok : exitCode.no;
}

/** Pages exist for codes of all commands, not only for reasons. */
async function printCode({ stdout }: Context, text: string, refuse: (message: string) => ExitCode): Promise<ExitCode> {
  const { codeNames, findCode } = await import('../code-names.ts');
  const code = findCode(text);
  if (code === undefined) return refuse(`there is no code ${text}; the codes are ${[...codeNames.keys()].join(', ')}`);
  stdout.write(readFileSync(codePage(code), 'utf8'));
  return exitCode.ok;
}

/** Pages lie beside the program: `docs/codes` of the package, from source and from the bundle alike. */
function codePage(code: string): string {
  const name = `docs/codes/${code}.md`;
  for (let directory = import.meta.dirname; ; directory = join(directory, '..')) {
    const path = join(directory, name);
    try {
      readFileSync(path);
      return path;
    } catch (error) {
      if (directory === join(directory, '..')) throw error;
    }
  }
}

import type { FieldPath } from '../model/source-ref.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { PortMatch } from '../model/port.ts';
import type { Service } from '../model/service.ts';
import type { PortTrace } from '../compiler/trace.ts';
import { placeOf } from './cluster.ts';
import type { LintCode, ReasonCode } from './codes.ts';
import type { ConditionGroup, RuleContext } from './conditions.ts';
import { declaredPorts, shortName } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';
import { firstLine, isOneLine } from './label-words.ts';

interface PortWords {
  readonly code: ReasonCode;
  readonly label: string;
  /** The field that decides. */
  readonly field: 'port' | 'protocol' | 'entry';
  readonly facts?: readonly string[];
  readonly lint?: LintCode;
  /** Among failing entries the smallest is the likeliest to be meant. */
  readonly rank: number;
}

/** One entry of a rule's `ports` as a condition. */
export function portGroup(trace: PortTrace, ports: FieldPath, context: RuleContext): ConditionGroup {
  const { port, answer } = trace;
  const path = [...ports, port.index];
  const { flow } = context.context;
  const words = answer === 'no' ? failingWords(trace, path, context) : undefined;
  const span = portSpan(path, words?.field ?? 'entry', context);
  const needs =
    answer === 'unknown' && flow.to.kind === 'pod'
      ? {
          needs: {
            object: { kind: 'Pod' as const, namespace: flow.to.pod.namespace, name: flow.to.pod.name },
            facts: 'ports',
          },
        }
      : {};
  const unknownSpan = answer === 'unknown' ? context.written?.locate([...path, 'port'])?.pair : undefined;
  const place = unknownSpan ?? span;
  return {
    kind: 'port',
    answer,
    parts: [
      {
        kind: 'port',
        answer,
        ...(words === undefined ? {} : { code: words.code }),
        expected: expectedText(port),
        actual: flow.port === undefined ? flow.protocol : `${flow.port}/${flow.protocol}`,
        path: words?.field === 'protocol' ? [...path, 'protocol'] : words?.field === 'port' ? [...path, 'port'] : path,
        ...(place === undefined ? {} : { span: place }),
        label: words?.label ?? matchedLabel(trace, context.context),
        ...needs,
      },
    ],
    failing: answer === 'no' ? 1 : 0,
    distance: words?.rank ?? 0,
    facts: words?.facts ?? [],
    ...(words?.lint === undefined ? {} : { lint: words.lint }),
  };
}

function expectedText(port: PortMatch): string {
  switch (port.kind) {
    case 'invalid':
      return 'invalid';
    case 'protocol':
      return `any/${port.protocol}`;
    case 'named':
      return `${port.name}/${port.protocol}`;
    case 'range':
      return port.from === port.to ? `${port.from}/${port.protocol}` : `${port.from}-${port.to}/${port.protocol}`;
  }
}

function matchedLabel({ port }: PortTrace, context: FlowContext): string {
  const { flow } = context;
  switch (port.kind) {
    case 'invalid':
      return 'refused';
    case 'protocol':
      return `every ${port.protocol} port`;
    case 'range':
      return port.from === port.to
        ? `${port.protocol} ${port.from}`
        : `${port.protocol} ${port.from}-${port.to} holds ${flow.port ?? ''}`;
    case 'named':
      return `"${port.name}" is ${flow.port ?? ''}/${flow.protocol}${declaredAt(port.name, context)}`;
  }
}

function declaredAt(name: string, { cluster, flow }: FlowContext): string {
  if (flow.to.kind !== 'pod') return '';
  const declared = flow.to.pod.declaredPorts.find(
    (candidate) =>
      candidate.name === name &&
      candidate.protocol === flow.protocol &&
      candidate.port === (flow.port ?? candidate.port),
  );
  const place = declared === undefined ? undefined : placeOf(cluster, flow.to.pod, declared.path);
  return place === undefined ? '' : ` (${place})`;
}

function failingWords(trace: PortTrace, path: FieldPath, context: RuleContext): PortWords {
  const { port } = trace;
  const { context: flowContext, written } = context;
  const { flow } = flowContext;
  if (port.kind === 'invalid') {
    return { code: 'E022', label: 'refused: this entry matches nothing', field: 'entry', rank: 0 };
  }
  if (flow.protocol === 'ICMP') {
    return { code: 'E032', label: 'a rule with ports never admits ICMP', field: 'entry', rank: 8 };
  }
  const asked = flow.port ?? 0;
  if (port.protocol !== flow.protocol) {
    const numberFits =
      port.kind === 'protocol' ||
      (port.kind === 'range' && port.from <= asked && asked <= port.to) ||
      (port.kind === 'named' &&
        flow.to.kind === 'pod' &&
        flow.to.pod.declaredPorts.some((declared) => declared.name === port.name));
    const isWritten = written?.locate([...path, 'protocol']) !== undefined;
    return {
      code: 'E032',
      label: isWritten
        ? `${port.protocol} only; this flow is ${flow.protocol}`
        : `no protocol means TCP; this flow is ${flow.protocol}`,
      field: isWritten ? 'protocol' : 'port',
      ...(isWritten ? {} : { lint: 'NP405' as const }),
      rank: numberFits ? 1 : 9,
    };
  }
  if (port.kind === 'named') return namedWords(port.name, trace, flowContext);
  const from = port.kind === 'range' ? port.from : 0;
  const to = port.kind === 'range' ? port.to : 0;
  const service = flow.to.kind === 'pod' ? serviceWithPort(from, to, flow.to.pod, flowContext) : undefined;
  if (service !== undefined) {
    return {
      code: 'E033',
      label: `the Service's port; policies see the pod's port, ${asked}`,
      field: from === to ? 'port' : 'entry',
      lint: 'NP402',
      rank: 0,
    };
  }
  return {
    code: 'E030',
    label: from === to ? `TCP ${from}, not ${asked}`.replace('TCP', port.protocol) : `${from} to ${to}, not ${asked}`,
    field: from === to ? 'port' : 'entry',
    rank: 3,
  };
}

function namedWords(name: string, { numbers }: PortTrace, context: FlowContext): PortWords {
  const { flow, cluster } = context;
  const to = shortName(context.to);
  if (flow.to.kind !== 'pod') {
    return { code: 'E034', label: `${to} is no pod, so no port of it has a name`, field: 'port', rank: 3 };
  }
  if (numbers !== undefined && numbers.length > 0) {
    const shown = numbers.map((number) => `${number}/${flow.protocol}`).join(', ');
    const label = `"${name}" is ${shown} on ${to}, not ${flow.port ?? ''}`;
    return { code: 'E030', label, field: 'port', facts: declaredFacts(context), rank: 3 };
  }
  const other = flow.to.pod.declaredPorts.find((declared) => declared.name === name);
  if (other !== undefined) {
    const place = placeOf(cluster, flow.to.pod, other.path);
    const label = `${to} declares "${name}" as ${other.port}/${other.protocol}${place === undefined ? '' : ` (${place})`}, not ${flow.protocol}`;
    return { code: 'E031', label, field: 'port', rank: 2 };
  }
  return {
    code: 'E031',
    label: `${to} has no port named "${name}"`,
    field: 'port',
    facts: declaredFacts(context),
    lint: 'NP401',
    rank: 2,
  };
}

function declaredFacts({ cluster, flow }: FlowContext): readonly string[] {
  if (flow.to.kind !== 'pod') return [];
  const declared = declaredPorts(cluster, flow.to.pod);
  return [declared.length === 0 ? 'declared: no ports' : `declared: ${declared.join(', ')}`];
}

/** A Service in front of the pod whose own port lies in the range and leads to the port that was asked. */
function serviceWithPort(from: number, to: number, pod: Endpoint, context: FlowContext): Service | undefined {
  const { flow, servicePort, cluster } = context;
  for (const service of cluster.snapshot.services.values()) {
    if (service.namespace !== pod.namespace || service.selector === undefined) continue;
    const selected = [...service.selector].every(([key, value]) => pod.labels.get(key) === value);
    if (!selected) continue;
    for (const { port, targetPort, protocol } of service.ports) {
      if (port < from || port > to || protocol !== flow.protocol || port === flow.port) continue;
      if (servicePort !== undefined && servicePort !== port) continue;
      const leadsHere =
        typeof targetPort === 'number'
          ? targetPort === flow.port
          : pod.namedPorts.some(({ name, port: number }) => name === targetPort && number === flow.port);
      if (leadsHere) return service;
    }
  }
  return undefined;
}

function portSpan(path: FieldPath, field: PortWords['field'], { written }: RuleContext) {
  if (written === undefined) return undefined;
  const entry = written.locateNearest(path).spans.value;
  if (field !== 'entry') {
    const inner = written.locate([...path, field]);
    if (inner !== undefined && isOneLine(inner.pair)) return inner.pair;
  }
  if (isOneLine(entry)) return entry;
  const inner = written.locate([...path, 'port']) ?? written.locate([...path, 'protocol']);
  return inner !== undefined && isOneLine(inner.pair) ? inner.pair : firstLine(written, entry);
}

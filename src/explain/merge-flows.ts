import type { FlowStep, SideExplanation } from './explanation.ts';
import type { ExplainedFlow } from './flow-step.ts';
import type { PortClass } from './partition.ts';

/** An explained flow and, if no port was asked, the ports it stands for. */
export interface PortFlow {
  readonly explained: ExplainedFlow;
  readonly portClass: PortClass | undefined;
}

/**
 * Puts flows together that have one explanation: families of one pair, likewise pods, neighbouring undeclared ports.
 * Order stays; the first of each stands for all.
 */
export function mergeFlows(flows: readonly PortFlow[]): readonly ExplainedFlow[] {
  return mergeEnds(mergeFamilies(mergePorts(flows)));
}

/** What a flow is explained by: equal texts for equal explanations. */
function signature({ step }: ExplainedFlow): string {
  return JSON.stringify([step.verdict, step.codes, side(step.egress), side(step.ingress), step.remark]);
}

function side({ verdict, code, admittedBy, closest }: SideExplanation): unknown {
  return [verdict, code, admittedBy.map(({ policy, rule }) => [policy, rule]), closest[0]?.policy, closest[0]?.rule];
}

function pairKey({ step }: ExplainedFlow): string {
  return JSON.stringify([step.from, step.to, step.family]);
}

function portKey({ step }: ExplainedFlow): string {
  return JSON.stringify([step.protocol, step.ports ?? step.port]);
}

function withStep(explained: ExplainedFlow, changes: Partial<FlowStep>): ExplainedFlow {
  return { ...explained, step: { ...explained.step, ...changes } };
}

/** Undeclared intervals with one explanation become ranges; the widest group is "any other". */
function mergePorts(flows: readonly PortFlow[]): readonly ExplainedFlow[] {
  const merged: ExplainedFlow[] = [];
  const groups = new Map<string, PortFlow[]>();
  for (const flow of flows) {
    if (flow.portClass === undefined) {
      merged.push(flow.explained);
      continue;
    }
    const key = `${pairKey(flow.explained)} ${flow.portClass.protocol}`;
    groups.set(key, [...(groups.get(key) ?? []), flow]);
  }
  for (const group of groups.values()) merged.push(...mergePortGroup(group));
  return merged;
}

function mergePortGroup(group: readonly PortFlow[]): readonly ExplainedFlow[] {
  const bySignature = new Map<
    string,
    { readonly first: ExplainedFlow; readonly ranges: { from: number; to: number }[] }
  >();
  const declared: ExplainedFlow[] = [];
  for (const { explained, portClass } of group) {
    if (portClass === undefined) continue;
    if (portClass.declared) {
      declared.push(
        withStep(explained, portClass.name === undefined ? {} : { ports: `${portClass.port} (${portClass.name})` }),
      );
      continue;
    }
    const key = signature(explained);
    const known = bySignature.get(key);
    const last = known?.ranges.at(-1);
    if (known === undefined)
      bySignature.set(key, { first: explained, ranges: [{ from: portClass.port, to: portClass.to }] });
    else if (last !== undefined && last.to + 1 === portClass.port) last.to = portClass.to;
    else known.ranges.push({ from: portClass.port, to: portClass.to });
  }
  const width = (ranges: readonly { from: number; to: number }[]): number =>
    ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const rest = [...bySignature.values()].sort((a, b) => width(a.ranges) - width(b.ranges));
  const others = rest.map(({ first, ranges }, index) => {
    const shown = ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
    const ports = index === rest.length - 1 ? 'any other port' : shown;
    return { ...withStep(first, { ports }), ...(ranges.length > 1 ? { scattered: true } : {}) };
  });
  return [...declared, ...others];
}

function mergeFamilies(flows: readonly ExplainedFlow[]): readonly ExplainedFlow[] {
  const pairs = new Map<string, ExplainedFlow[]>();
  for (const flow of flows) {
    const key = JSON.stringify([flow.step.from, flow.step.to, portKey(flow), flow.step.remark]);
    pairs.set(key, [...(pairs.get(key) ?? []), flow]);
  }
  return [...pairs.values()].flatMap((pair) => {
    const kinds = new Map(pair.map((flow) => [signature(flow), flow] as const).reverse());
    const [first, ...others] = pair;
    if (first !== undefined && kinds.size <= 1)
      return [others.length === 0 ? first : withStep(first, { otherFamilies: others.map(({ step }) => step) })];
    return pair.map((flow) =>
      withStep(flow, { remark: [flow.step.remark, flow.step.family].filter(Boolean).join(', ') }),
    );
  });
}

function mergeEnds(flows: readonly ExplainedFlow[]): readonly ExplainedFlow[] {
  const merged = new Map<string, ExplainedFlow>();
  for (const flow of flows) {
    const isBlock = flow.step.from.kind === 'Block' || flow.step.to.kind === 'Block';
    const key = `${signature(flow)} ${portKey(flow)} ${isBlock ? pairKey(flow) : ''}`;
    const known = merged.get(key);
    merged.set(key, known === undefined ? flow : withStep(known, { count: known.step.count + flow.step.count }));
  }
  return [...merged.values()];
}

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RawObject } from '../oracle/question.ts';
import { applyChange } from './cluster-state.ts';
import type { Change, ObjectRef } from './cluster-state.ts';
import { parseFlow } from './flow-line.ts';
import type { ExpectedFlow } from './flow-line.ts';

/** The flows that hold after a change. */
export interface CaseStep extends Partial<Change> {
  readonly flows: readonly ExpectedFlow[];
}

/** One conformance case. It has either flows over one state, or steps of change. */
export interface ConformanceCase {
  /** `topic/name`. */
  readonly case: string;
  /** What the case is about. */
  readonly text?: string;
  readonly tags?: readonly string[];
  /** A Kubernetes `List`. */
  readonly cluster: { readonly apiVersion: string; readonly kind: string; readonly items: readonly RawObject[] };
  readonly flows?: readonly ExpectedFlow[];
  readonly steps?: readonly CaseStep[];
}

/** One state of a case's cluster and the flows to judge there. */
export interface CaseState {
  /** Zero for the only state of a case without steps. */
  readonly step: number;
  readonly objects: readonly RawObject[];
  readonly flows: readonly ExpectedFlow[];
}

/** Where the conformance cases lie: one file for each topic, one line for each case. */
export const casesDirectory: string = join(import.meta.dirname, '../fixtures/cases');

/** The topics there are, sorted. Throws if there are none. */
export function caseTopics(): readonly string[] {
  const files = readdirSync(casesDirectory).filter((file) => file.endsWith('.jsonl'));
  if (files.length === 0) throw new Error(`no cases in ${casesDirectory}`);
  return files.map((file) => file.slice(0, -'.jsonl'.length)).sort();
}

/** All cases, or those of one topic, in file order. */
export function loadCases(topic?: string): readonly ConformanceCase[] {
  return (topic === undefined ? caseTopics() : [topic]).flatMap((name) =>
    readFileSync(join(casesDirectory, `${name}.jsonl`), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => parseCase(JSON.parse(line) as StoredCase)),
  );
}

/** The states of a case, in order. */
export function caseStates(conformanceCase: ConformanceCase): readonly CaseState[] {
  let objects = conformanceCase.cluster.items;
  const steps = conformanceCase.steps ?? [{ flows: conformanceCase.flows ?? [] }];
  return steps.map((step, index) => {
    objects = applyChange(objects, { delete: step.delete ?? [], apply: step.apply ?? [] });
    return { step: index, objects, flows: step.flows };
  });
}

/** Writes cases as the folders that `policy test` reads: `<topic>/<case>/{cluster,flows}.json`. Returns the folders. */
export function writeCaseFolders(
  directory: string,
  cases: readonly ConformanceCase[] = loadCases(),
): readonly string[] {
  return cases.map((conformanceCase) => {
    const { case: name, cluster, flows, steps } = conformanceCase;
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cluster.json'), JSON.stringify(cluster));
    writeFileSync(join(folder, 'flows.json'), JSON.stringify(steps === undefined ? { flows } : { steps }));
    return folder;
  });
}

/** A case as one line of a file: flows are text lines. */
interface StoredCase extends Omit<ConformanceCase, 'flows' | 'steps'> {
  readonly flows?: readonly string[];
  readonly steps?: readonly {
    readonly delete?: readonly ObjectRef[];
    readonly apply?: readonly RawObject[];
    readonly flows: readonly string[];
  }[];
}

function parseCase(stored: StoredCase): ConformanceCase {
  const { flows, steps, ...rest } = stored;
  return {
    ...rest,
    ...(flows === undefined ? {} : { flows: flows.map(parseFlow) }),
    ...(steps === undefined ? {} : { steps: steps.map((step) => ({ ...step, flows: step.flows.map(parseFlow) })) }),
  };
}

import { checkExpectations } from '../../explain/assertions.ts';
import type { AssertionResult, Expectation } from '../../explain/assertions.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import { renderDiagnostics } from '../../report/diagnostics.ts';
import { renderFailedFlow, renderTestSummary, toTestReport } from '../../report/test-report.ts';
import type { CaseResult } from '../../report/test-report.ts';
import { findCaseFolders, loadCase } from '../../source/manifests/fixture.ts';
import type { CaseFixture, CaseStep } from '../../source/manifests/fixture.ts';
import { snapshotOf } from '../../source/store.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Arguments of `policy test`. */
export interface TestOptions {
  readonly directories: readonly string[];
  readonly output: 'text' | 'json';
  readonly quiet: boolean;
}

/** Judges the flows of case folders by the objects in them. Invalid objects are judged and warned about (semantics 84). */
export function testCommand(context: Context, options: TestOptions): ExitCode {
  const { folders, diagnostics } = findCaseFolders(options.directories);
  context.stderr.write(renderDiagnostics(diagnostics));
  let unusable = diagnostics.length > 0;
  const cases: CaseResult[] = [];
  for (const folder of folders) {
    const fixture = loadCase(folder);
    context.stderr.write(renderDiagnostics(fixture.diagnostics));
    const judged = judgeCase(fixture);
    for (const problem of judged.problems) context.stderr.write(`${problem}\n`);
    if (judged.problems.length > 0 || judged.result === undefined) unusable = true;
    if (judged.result !== undefined) cases.push(judged.result);
    if (options.output === 'text') context.stdout.write(judged.failures.join(''));
  }
  const report = toTestReport(cases);
  if (options.output === 'json') context.stdout.write(`${JSON.stringify(report)}\n`);
  else if (!options.quiet) context.stdout.write(renderTestSummary(report));
  if (unusable) return exitCode.usage;
  return report.failed === 0 ? exitCode.ok : exitCode.no;
}

interface JudgedCase {
  readonly result?: CaseResult;
  readonly failures: readonly string[];
  /** Why some flow could not be judged at all. */
  readonly problems: readonly string[];
}

function judgeCase(fixture: CaseFixture): JudgedCase {
  const failures: string[] = [];
  const problems: string[] = [];
  const judge = (
    objects: Iterable<ModelObject>,
    flows: readonly Expectation[],
    place: string,
  ): readonly AssertionResult[] => {
    const { results, unusable } = checkExpectations(snapshotOf(objects), flows);
    for (const { index, problem } of unusable) problems.push(`${place}, flow ${index}: ${problem}`);
    for (const result of results) {
      const flow = flows[result.index];
      if (flow !== undefined && !result.pass && result.disputed.length === 0) {
        failures.push(renderFailedFlow(`${place}, flow ${result.index}`, flow, result));
      }
    }
    return results;
  };
  const { folder, expectation } = fixture;
  switch (expectation.kind) {
    case 'unusable':
      return { failures, problems };
    case 'flows': {
      const flows = judge(objectsOf(fixture).values(), expectation.flows, folder);
      return { result: { case: folder, flows }, failures, problems };
    }
    case 'steps': {
      const state = objectsOf(fixture);
      const steps = expectation.steps.map((step, index) => {
        applyStep(state, step);
        return { flows: judge(state.values(), step.flows, `${folder}, step ${index + 1}`) };
      });
      return { result: { case: folder, steps }, failures, problems };
    }
  }
}

function objectsOf(fixture: CaseFixture): Map<string, ModelObject> {
  return new Map(fixture.objects.map(({ object }) => [objectKey(object), object]));
}

/** Deletions first; then objects are created or wholly replaced by kind, namespace and name. */
function applyStep(state: Map<string, ModelObject>, step: CaseStep): void {
  for (const { kind, namespace, name } of step.delete) {
    const namespaced = kind !== 'Namespace' && kind !== 'Node';
    state.delete(`${kind} ${namespaced ? `${namespace ?? 'default'}/${name}` : name}`);
  }
  for (const { object } of step.apply) state.set(objectKey(object), object);
}

function objectKey(object: ModelObject): string {
  return `${object.kind} ${'key' in object ? object.key : object.name}`;
}

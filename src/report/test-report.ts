import type { AssertionResult, Expectation } from '../explain/assertions.ts';

/** Results of one list of flows: a case, or one step of it. */
export interface ResultList {
  readonly flows: readonly AssertionResult[];
}

/** Results of one case folder. */
export type CaseResult =
  | { readonly case: string; readonly flows: readonly AssertionResult[] }
  | { readonly case: string; readonly steps: readonly ResultList[] };

/** What `policy test -o json` prints; schema in `schemas/test-report.json`. */
export interface TestReport {
  readonly apiVersion: 'nftpolicy.dev/test/v1';
  readonly cases: readonly CaseResult[];
  /** Undisputed flows that are as expected. */
  readonly passed: number;
  /** Undisputed flows that are not. */
  readonly failed: number;
  /** Flows whose answer depends on a documented gap in the API. */
  readonly disputed: number;
}

/** Counts results. */
export function toTestReport(cases: readonly CaseResult[]): TestReport {
  let [passed, failed, disputed] = [0, 0, 0];
  for (const result of cases) {
    for (const { flows } of 'steps' in result ? result.steps : [result]) {
      for (const flow of flows) {
        if (flow.disputed.length > 0) disputed += 1;
        else if (flow.pass) passed += 1;
        else failed += 1;
      }
    }
  }
  return { apiVersion: 'nftpolicy.dev/test/v1', cases, passed, failed, disputed };
}

/** One failure, as a person reads it: which flow, what was expected, and which side decided otherwise. */
export function renderFailedFlow(place: string, flow: Expectation, result: AssertionResult): string {
  const sides = [
    `egress ${result.egress}${flow.egress === undefined || flow.egress === result.egress ? '' : ` (expected ${flow.egress})`}`,
    `ingress ${result.ingress}${flow.ingress === undefined || flow.ingress === result.ingress ? '' : ` (expected ${flow.ingress})`}`,
  ];
  const family = flow.family === undefined ? '' : ` ${flow.family}`;
  return (
    `FAIL  ${place}: ${flow.from} -> ${flow.to}  ${flow.protocol} ${flow.port}${family}\n` +
    `      expected ${result.expect}, got ${result.verdict}: ${sides.join(', ')}\n`
  );
}

/** The closing line. */
export function renderTestSummary(report: TestReport): string {
  const disputed = report.disputed === 0 ? '' : `, ${report.disputed} disputed`;
  const cases = report.cases.length === 1 ? '1 case' : `${report.cases.length} cases`;
  return `${report.passed} passed, ${report.failed} failed${disputed} in ${cases}\n`;
}

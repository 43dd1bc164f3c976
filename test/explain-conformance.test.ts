import { describe, expect, test } from 'vitest';

import { fileCluster } from '../src/cli/explain/file-cluster.ts';
import { checkExpectations } from '../src/explain/assertions.ts';
import type { Expectation } from '../src/explain/assertions.ts';
import type { Cluster } from '../src/explain/cluster.ts';
import { explain } from '../src/explain/explain.ts';
import type { Explanation } from '../src/explain/explanation.ts';
import { renderExplanation } from '../src/report/explanation-text.ts';
import { plain } from '../src/report/style.ts';
import { decodeDocuments } from '../src/source/manifests/decode-documents.ts';
import { parseManifests } from '../src/source/manifests/yaml.ts';
import { caseStates, caseTopics, loadCases } from './support/cases.ts';
import type { CaseState } from './support/cases.ts';

/** The state as the commands read it from a file, with the text that explanations point into. */
function clusterOf({ objects }: CaseState): Cluster {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 1);
  const { documents, source } = parseManifests(text, 'cluster.json');
  return fileCluster({ ...decodeDocuments(documents), files: [source] }, ['cluster.json']);
}

/** Verdict, egress and ingress of the one flow that was asked. */
function answerOf({ steps }: Explanation, family: Expectation['family']): string {
  const flows = steps.filter((step) => step.kind === 'flow');
  const flow = family === undefined ? flows[0] : flows.find((step) => step.family === family);
  const verdict = flow?.verdict === 'DENIED' ? 'deny' : flow?.verdict === 'UNKNOWN' ? 'unknown' : 'allow';
  return `${verdict} ${flow?.egress.verdict} ${flow?.ingress.verdict}`;
}

/** What explain says differently than test, of every flow of a state; and how many flows there are. */
function compare(name: string, state: CaseState): { readonly flows: number; readonly differences: readonly string[] } {
  const cluster = clusterOf(state);
  const differences: string[] = [];
  const flows = state.flows as readonly Expectation[];
  const { results, unusable } = checkExpectations(cluster.snapshot, flows);
  for (const { index, problem } of unusable) differences.push(`${name} flow ${index}: ${problem}`);
  for (const { index, verdict, egress, ingress } of results) {
    const { from, to, port, protocol, family } = flows[index]!;
    const title = `${name} ${from} -> ${to} ${port}/${protocol}`;
    const answer = explain(cluster, {
      from,
      to,
      port,
      protocol,
      protocolGiven: true,
      namespace: 'default',
      ...(family === undefined ? {} : { family }),
      dns: false,
      dnsService: { namespace: 'kube-system', name: 'kube-dns' },
    });
    if (!answer.ok) {
      differences.push(`${title}: ${answer.error}`);
      continue;
    }
    const [said, judged] = [answerOf(answer.value, family), `${verdict} ${egress} ${ingress}`];
    if (said !== judged) differences.push(`${title}: explain ${said}, test ${judged}`);
    const text = renderExplanation(answer.value, { wide: false, columns: 100, paint: plain });
    if (!text.startsWith(answer.value.verdict)) differences.push(`${title}: the text begins ${text.slice(0, 40)}`);
  }
  return { flows: flows.length, differences };
}

describe('explain and policy test agree', () => {
  let compared = 0;

  test.each(caseTopics())('on every flow of %s', { timeout: 300_000 }, (topic) => {
    const differences: string[] = [];
    for (const conformanceCase of loadCases(topic)) {
      for (const state of caseStates(conformanceCase)) {
        const found = compare(`${conformanceCase.case} step ${state.step}`, state);
        compared += found.flows;
        differences.push(...found.differences);
      }
    }
    expect(differences.slice(0, 20)).toEqual([]);
  });

  test('none of 47,253 is left out', () => expect(compared).toBe(47_253));
});

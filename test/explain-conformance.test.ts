import { describe, expect, test } from 'vitest';

import { checkExpectations } from '../src/explain/assertions.ts';
import type { Cluster } from '../src/explain/cluster.ts';
import { explain } from '../src/explain/explain.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import { snapshotOf } from '../src/source/store.ts';
import { caseStates, caseTopics, loadCases } from './support/cases.ts';
import type { CaseState } from './support/cases.ts';

/** Every how many flows of a state one is explained: explaining costs more than judging. */
const every = 61;

/** A cluster without texts: what only judges needs no source. */
function clusterOf(state: CaseState): Cluster {
  const objects = state.objects.flatMap(
    (raw) => decodeObject(raw, { kind: 'cluster', resourceVersion: '' }).object ?? [],
  );
  return {
    snapshot: snapshotOf(objects),
    inputs: ['case'],
    others: [],
    written: () => undefined,
    problems: () => [],
    edited: () => undefined,
  };
}

describe('explain and policy test agree', () => {
  test.each(caseTopics())('on the flows of %s', (topic) => {
    let explained = 0;
    const differences: string[] = [];
    for (const conformanceCase of loadCases(topic)) {
      for (const state of caseStates(conformanceCase)) {
        const cluster = clusterOf(state);
        for (const [index, flow] of state.flows.entries()) {
          if (index % every !== explained % every || flow.port === undefined || flow.protocol === 'ICMP') continue;
          const [judged] = checkExpectations(cluster.snapshot, [
            { ...flow, port: flow.port, protocol: flow.protocol },
          ]).results;
          if (judged === undefined) continue;
          const answer = explain(cluster, {
            from: flow.from,
            to: flow.to,
            port: flow.port,
            protocol: flow.protocol,
            protocolGiven: true,
            namespace: 'default',
            ...(flow.family === undefined ? {} : { family: flow.family }),
            dns: false,
            dnsService: { namespace: 'kube-system', name: 'kube-dns' },
          });
          explained += 1;
          const name = `${conformanceCase.case} ${flow.from} -> ${flow.to} ${flow.port}/${flow.protocol}`;
          if (!answer.ok) {
            differences.push(`${name}: ${answer.error}`);
            continue;
          }
          const steps = answer.value.steps.filter((step) => step.kind === 'flow');
          const family = flow.family === undefined ? steps[0] : steps.find((step) => step.family === flow.family);
          const verdict = family?.verdict === 'DENIED' ? 'deny' : family?.verdict === 'UNKNOWN' ? 'unknown' : 'allow';
          const sides = `${verdict} ${family?.egress.verdict} ${family?.ingress.verdict}`;
          const expected = `${judged.verdict} ${judged.egress} ${judged.ingress}`;
          if (sides !== expected) differences.push(`${name}: explain ${sides}, test ${expected}`);
        }
      }
    }
    expect(differences.slice(0, 20)).toEqual([]);
    expect(explained).toBeGreaterThan(0);
  });
});

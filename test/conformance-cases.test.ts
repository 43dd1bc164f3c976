import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { caseStates, loadCases, writeCaseFolders } from './support/cases.ts';
import { parseFlow, printFlow } from './support/flow-line.ts';

test('a flow survives being written as a line', () => {
  const plain = { from: 'x/a', to: 'fd00::1', port: 80, protocol: 'TCP', expect: 'deny', egress: 'deny' } as const;
  const full = {
    ...plain,
    family: 'IPv6',
    ingress: 'allow',
    disputed: ['loopback', 'hostNetwork'],
    note: 'a # b',
  } as const;
  const icmp = { from: 'node/n1', to: 'x/a', protocol: 'ICMP', expect: 'allow' } as const;
  for (const flow of [plain, full, icmp]) expect(parseFlow(printFlow(flow))).toEqual(flow);
  expect(() => parseFlow('x/a y/b 80 deny - -')).toThrow('no flow');
});

test('cases are written out as folders that hold the same objects and flows', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cases-'));
  try {
    const cases = [...loadCases('e2e').slice(0, 2), ...loadCases('steps').slice(0, 1)];
    const folders = writeCaseFolders(directory, cases);
    expect(folders).toEqual(cases.map((conformanceCase) => join(directory, conformanceCase.case)));
    for (const [index, { cluster, flows, steps }] of cases.entries()) {
      const read = (file: string): unknown => JSON.parse(readFileSync(join(folders[index]!, file), 'utf8'));
      expect(read('cluster.json')).toEqual(cluster);
      expect(read('flows.json')).toEqual(steps === undefined ? { flows } : { steps });
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('in a step, deletions come before additions', () => {
  const pod = (name: string, label: string) => ({ kind: 'Pod', metadata: { name, namespace: 'x', labels: { label } } });
  const states = caseStates({
    case: 'steps/made-up',
    cluster: { apiVersion: 'v1', kind: 'List', items: [pod('a', 'old'), pod('b', 'old'), pod('c', 'old')] },
    steps: [
      { flows: [] },
      {
        delete: [
          { kind: 'Pod', namespace: 'x', name: 'a' },
          { kind: 'Pod', namespace: 'x', name: 'b' },
        ],
        apply: [pod('a', 'new'), pod('c', 'new')],
        flows: [],
      },
    ],
  });
  expect(states.map((state) => state.objects)).toEqual([
    [pod('a', 'old'), pod('b', 'old'), pod('c', 'old')],
    [pod('c', 'new'), pod('a', 'new')],
  ]);
});

import type { RawObject } from '../../oracle/question.ts';
import type { ConformanceCase } from '../../support/cases.ts';
import type { ExpectedFlow } from '../../support/flow-line.ts';

function pod(name: string, node: string, ip: string): RawObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'x', name, uid: name, labels: { app: name } },
    spec: { nodeName: node },
    status: { phase: 'Running', podIPs: [{ ip }] },
  };
}

function tcp(from: string, to: string, expect: 'allow' | 'deny', ingress: 'allow' | 'deny'): ExpectedFlow {
  return { from, to, port: 80, protocol: 'TCP', expect, egress: 'allow', ingress };
}

/** Nobody may reach x/closed, and its first three flows say otherwise: a run that calls them right proves nothing. */
export const misjudged: ConformanceCase = {
  case: 'made-up/misjudged',
  cluster: {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } },
      pod('closed', 'n1', '10.244.1.2'),
      pod('open', 'n1', '10.244.1.3'),
      pod('far', 'n2', '10.244.2.2'),
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { namespace: 'x', name: 'nobody', uid: 'nobody' },
        spec: { podSelector: { matchLabels: { app: 'closed' } }, policyTypes: ['Ingress'] },
      },
    ],
  },
  flows: [
    tcp('x/open', 'x/closed', 'allow', 'allow'),
    tcp('x/closed', 'x/open', 'deny', 'deny'),
    tcp('x/far', 'x/closed', 'allow', 'allow'),
    tcp('x/far', 'x/closed', 'deny', 'deny'),
    tcp('x/closed', 'x/far', 'allow', 'allow'),
  ],
};

import type { StatusReport } from '../../controller/status-report.ts';
import { podKey } from '../../model/names.ts';

/** A node where all is well. */
export const fine: StatusReport = {
  schema: 'nftpolicy.dev/status/v1',
  node: 'node-1',
  version: '0.1.0',
  nft: '1.1.3',
  startedAt: '2026-11-21T09:00:00.000Z',
  state: 'enforcing',
  ready: true,
  options: {
    enforce: 'every-packet',
    unknownPods: 'drop',
    reject: false,
    policeNodeEgress: false,
    nodeDns: 'auto',
    recordDenied: true,
  },
  generation: { objects: 41, applied: 41 },
  enforcingSince: '2026-11-21T09:00:01.000Z',
  lastApply: { ok: true, at: '2026-11-21T09:59:50.000Z' },
  verifiedAt: '2026-11-21T09:59:55.000Z',
  driftRepaired: 0,
  settingsRepaired: 0,
  source: { from: 'https://api', kinds: [{ kind: 'Pod', state: 'watching', synced: true, objects: 12 }] },
  refusals: [],
  pods: [
    {
      pod: 'shop/db',
      uid: 'u',
      interface: 'veth1',
      addresses: ['10.0.0.1'],
      attachment: 'routed',
      ingress: { isolated: true, policies: ['shop/db'], audits: [] },
      egress: { isolated: false, policies: [], audits: ['shop/dry'] },
    },
  ],
  closedPods: [],
  problems: [],
  diagnostics: { errors: 0, warnings: 0 },
  objectProblems: [],
};

/** A node where everything is wrong that can be; every optional member is there. */
export const wrong: StatusReport = {
  ...fine,
  state: 'refused',
  options: { ...fine.options, reject: true, policeNodeEgress: true, recordDenied: false },
  nodeDns: ['169.254.20.10'],
  generation: { objects: 9 },
  lastApply: { ok: false, at: '2026-11-21T09:58:00.000Z', error: 'no memory' },
  driftRepaired: 3,
  source: {
    from: 'd',
    kinds: [
      { kind: 'Pod', state: 'backoff', synced: false, objects: 0, problem: 'refused' },
      {
        kind: 'Namespace',
        state: 'backoff',
        synced: true,
        objects: 3,
        problem: 'reset',
        lastHeardAt: '2026-11-21T09:59:30.000Z',
      },
    ],
  },
  refusals: [{ code: 'kube-proxy-ipvs', severity: 'refuse', seen: 'kube-ipvs0', why: 'bypass', help: 'Change it.' }],
  closedPods: [{ pod: podKey('a', 'b'), uid: 'u', code: 'pod-interface-missing', message: 'no route', help: 'Look' }],
  problems: [{ kind: 'refused', object: 'inet chain x', message: 'too long', pods: ['a/c'] }],
  diagnostics: { errors: 2, warnings: 1 },
  objectProblems: [
    {
      code: 'D112',
      severity: 'error',
      object: 'NetworkPolicy a/p',
      field: 'spec.podSelector',
      message: 'no',
      help: 'Fix.',
    },
    { code: 'I002', severity: 'error', place: 'p.yaml:3:1', message: 'no YAML' },
  ],
  policy: {
    policy: 'a/p',
    known: true,
    generation: 8,
    resourceVersion: '77',
    applied: true,
    problems: ['spec.x: no'],
  },
  hostProblem: 'ip is gone',
};

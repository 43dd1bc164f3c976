import type { DeniedEnd, DeniedEntry } from '../controller/denied-report.ts';
import { renderAge, renderColumns } from './columns.ts';

/** Recorded flows, for people, one line each. */
export function renderDenied(flows: readonly DeniedEntry[]): string {
  return renderColumns(
    flows.map((flow) => [
      `${renderAge(flow.ageSeconds)} ago`,
      flow.mode === 'denied' ? 'DENIED' : 'WOULD DENY',
      `${renderEnd(flow.from)} -> ${renderEnd(flow.to)}`,
      `${flow.protocol}/${flow.port}`,
      flow.packets === undefined ? '' : `${flow.packets} ${flow.packets === 1 ? 'packet' : 'packets'}`,
      renderReason(flow),
    ]),
  );
}

function renderEnd({ address, pod, node }: DeniedEnd): string {
  if (pod !== undefined) return `${pod} (${address})`;
  return node === undefined ? address : `node/${node} (${address})`;
}

function renderReason({ reason, direction, policies, mode }: DeniedEntry): string {
  switch (reason) {
    case 'no-rule-admits': {
      const audit = mode === 'would-deny' ? ' in audit mode' : '';
      return `${direction ?? ''}: no rule of ${policies.join(', ')}${audit} admits it`;
    }
    case 'pod-closed':
      return `${direction ?? ''}: the pod is closed, see policy status`;
    case 'unknown-pod':
      return 'no pod of this node is known by these addresses: a pod before its time, or a forged source';
    case 'unexplained':
      return 'reason not known without the agent';
    case 'allowed-now':
      return 'it would pass now: a policy, label or address has changed since';
  }
}

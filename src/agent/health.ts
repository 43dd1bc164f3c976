import { requiredKinds } from '../controller/controller.ts';
import type { Insight } from './insight.ts';

/** An answer to a probe: fine, or what is not. */
export interface Health {
  readonly ok: boolean;
  readonly reason: string;
}

/** A call of nft is killed after 30 s; one that runs twice as long escaped that: only a restart helps. */
const stuckMs = 60_000;

/** Liveness. That it answers shows that the event loop turns; slow work alone is never a reason to kill the agent. */
export function live({ executor }: Pick<Insight, 'executor'>): Health {
  const { runningMs } = executor;
  if (runningMs <= stuckMs) return { ok: true, reason: 'ok' };
  return { ok: false, reason: `a call of nft has been running for ${Math.round(runningMs / 1000)} s` };
}

/**
 * Readiness: everything was read once, everything is in the kernel, and the last attempt to write did not fail. An API
 * server that goes away later changes nothing: the last rules stand.
 */
export function ready(insight: Pick<Insight, 'store' | 'controller' | 'enforcer' | 'coldStart'>): Health {
  const missing = requiredKinds.filter((kind) => !insight.store.inSync([kind]));
  if (missing.length > 0) return { ok: false, reason: `not read yet: ${missing.join(', ')}` };
  const { refusals, hostProblem } = insight.controller.status();
  const refusal = refusals.find(({ severity }) => severity === 'refuse');
  if (refusal !== undefined) {
    const { code, seen, why, help } = refusal;
    return { ok: false, reason: `this node cannot be policed: ${code}: ${seen}: ${why}. ${help}` };
  }
  const { lastApply } = insight.enforcer.status();
  if (lastApply === undefined || insight.coldStart()) {
    const why = hostProblem === undefined ? '' : `: the node cannot be observed: ${hostProblem}`;
    return { ok: false, reason: `not in the kernel yet${why}` };
  }
  if (!lastApply.ok) return { ok: false, reason: `the last attempt to write failed: ${lastApply.error ?? ''}` };
  return { ok: true, reason: 'ok' };
}

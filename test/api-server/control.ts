import { setTimeout as sleep } from 'node:timers/promises';

import type { Fault, RequestFacts } from './faults.ts';
import { SeededFaults } from './faults.ts';
import { seededRandom } from './random.ts';
import type { TestApiServer } from './server.ts';

/** What can be asked of a server in another process, as the body of `POST /control`. */
export type Control =
  | { readonly action: 'fault'; readonly facts?: Partial<RequestFacts>; readonly fault: Fault; readonly times?: number }
  /** Faults drawn from a seed, until `calm`. */
  | { readonly action: 'storm'; readonly seed: number; readonly share: number }
  | { readonly action: 'calm' }
  | { readonly action: 'drop-connections' }
  | { readonly action: 'end-watches' }
  | { readonly action: 'compact' }
  | { readonly action: 'expire-continue-tokens' }
  /** Not reachable for a while; older versions are Expired afterwards if `compact`. */
  | { readonly action: 'outage'; readonly durationMs: number; readonly compact?: boolean }
  | { readonly action: 'watch-list'; readonly enabled: boolean }
  | { readonly action: 'forbid' | 'permit'; readonly verb: string; readonly plural: string }
  | { readonly action: 'tokens'; readonly tokens: Readonly<Record<string, string>> }
  | { readonly action: 'state' };

/** Does what is asked and answers with the state afterwards. An outage begins right after the answer. */
export function answerControl(server: TestApiServer, control: Control): object {
  switch (control.action) {
    case 'fault':
      server.faults.add(control.facts ?? {}, control.fault, control.times);
      break;
    case 'storm':
      server.plan = new SeededFaults(seededRandom(control.seed), control.share);
      break;
    case 'calm':
      server.plan = undefined;
      server.faults.clear();
      break;
    case 'drop-connections':
      setImmediate(() => server.dropConnections());
      break;
    case 'end-watches':
      server.endWatches();
      break;
    case 'compact':
      server.truth.compact();
      break;
    case 'expire-continue-tokens':
      server.expireContinueTokens();
      break;
    case 'outage':
      setImmediate(() => void outage(server, control.durationMs, control.compact ?? false));
      break;
    case 'watch-list':
      server.watchList = control.enabled;
      break;
    case 'forbid':
      server.forbidden.add(`${control.verb} ${control.plural}`);
      break;
    case 'permit':
      server.forbidden.delete(`${control.verb} ${control.plural}`);
      break;
    case 'tokens':
      server.tokens.clear();
      for (const [token, user] of Object.entries(control.tokens)) server.tokens.set(token, user);
      break;
    case 'state':
      break;
  }
  return {
    revision: server.truth.revision,
    compacted: server.truth.compacted,
    watches: server.watches,
    requests: server.requests.length,
    pendingFaults: server.faults.pending,
  };
}

async function outage(server: TestApiServer, durationMs: number, compact: boolean): Promise<void> {
  await server.stop();
  await sleep(durationMs);
  if (compact) server.truth.compact();
  await server.start();
}

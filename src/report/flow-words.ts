import type { ReasonCode } from '../explain/codes.ts';
import { endTitle } from '../explain/explanation.ts';
import type { FlowStep } from '../explain/explanation.ts';

/** `[E010,E031]`, or nothing. */
export function codesText(codes: readonly ReasonCode[]): string {
  return codes.length === 0 ? '' : `[${codes.join(',')}]`;
}

/** `TCP 8080`, `TCP any other port`, `ICMP`. */
export function portText({ protocol, port, ports }: Pick<FlowStep, 'protocol' | 'port' | 'ports'>): string {
  const shown = ports ?? (port === undefined ? undefined : String(port));
  return shown === undefined ? protocol : `${protocol} ${shown}`;
}

/** `shop/web-1 -> shop/api-1  TCP 8080`. */
export function flowTitle(flow: FlowStep): string {
  return `${endTitle(flow.from)} -> ${endTitle(flow.to)}  ${portText(flow)}`;
}

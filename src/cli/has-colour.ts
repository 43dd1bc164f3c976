import type { Context } from './context.ts';

/** Whether text is coloured unless somebody says otherwise: on a terminal that can, and without NO_COLOR. */
export function hasColour({ stdout, env }: Pick<Context, 'stdout' | 'env'>): boolean {
  return stdout.isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

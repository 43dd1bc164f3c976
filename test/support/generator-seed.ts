/** The seed of everything generated: a number in `SEED`, none where it is `random`, else always the same. */
export function generatorSeed(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const { SEED: given = '20261129' } = env;
  if (given === 'random') return undefined;
  const seed = Number(given);
  if (!Number.isInteger(seed)) throw new Error(`SEED must be a whole number or "random": ${given}`);
  return seed;
}

// A set-up file of vitest: what fast-check generates is the same in every run, so that the gate judges the change and
// not the draw. `SEED=17` draws other inputs, `SEED=random` new ones each time; a failure prints the seed it had.
import * as fc from 'fast-check';
import { generatorSeed } from './generator-seed.ts';

const seed = generatorSeed(process.env);
if (seed !== undefined) fc.configureGlobal({ seed });

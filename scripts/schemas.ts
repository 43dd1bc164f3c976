// Writes the JSON Schemas that are defined here to schemas/; with --check it only says which are out of date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { deniedSchema } from './schemas/denied.ts';
import { explanationSchema } from './schemas/explanation.ts';
import { diffSchema, mapSchema } from './schemas/flows.ts';
import { networkPolicySchema } from './schemas/network-policy.ts';
import { statusSchema } from './schemas/status.ts';
import { testReportSchema } from './schemas/test-report.ts';

const schemas = new Map([
  ['denied.json', deniedSchema],
  ['diff.json', diffSchema],
  ['map.json', mapSchema],
  ['explanation.json', explanationSchema],
  ['networkpolicy.json', networkPolicySchema],
  ['status.json', statusSchema],
  ['test-report.json', testReportSchema],
]);

const check = process.argv.includes('--check');
let outdated = 0;
for (const [name, schema] of schemas) {
  const file = join(import.meta.dirname, '../schemas', name);
  const text = `${JSON.stringify(schema, null, 2)}\n`;
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    console.log(`schemas/${name} is out of date: node scripts/schemas.ts`);
    outdated += 1;
  }
}
process.exitCode = outdated === 0 ? 0 : 1;

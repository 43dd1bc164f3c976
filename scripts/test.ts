// Everything a change must pass: the gate, then tests that send packets through a real kernel.
import { spawnSync } from 'node:child_process';

const commands: readonly (readonly [command: string, ...args: string[]])[] = [
  ['node', 'scripts/check.ts'],
  ['node', 'scripts/kernel.ts'],
];

for (const [command, ...args] of commands) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { FLOWS: '100000', ...process.env } });
  if (status !== 0) {
    console.log(`failed: ${[command, ...args].join(' ')}`);
    process.exit(1);
  }
}
console.log('everything passed');

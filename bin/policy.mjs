#!/usr/bin/env node
// Starts `policy` on a Node.js that can run it: the bundle in a package, the sources in a checkout.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const [major, minor] = process.versions.node.split('.').map(Number);
const recent = major > 24 || (major === 24 && minor >= 11);
const sources = file('../src/cli/main.ts');
const entry = existsSync(sources) ? sources : file('../dist/policy.mjs');

if (recent) {
  const { main } = await import(entry);
  await main(process.argv.slice(2));
} else {
  const own = file('../node_modules/node/bin/node');
  if (!existsSync(own)) {
    process.stderr.write(
      `policy: needs Node.js 24.11 or newer, this is ${process.versions.node}.\n` +
        'Install a newer Node.js, or run `npm ci` in the checkout, which brings its own.\n',
    );
    process.exit(2);
  }
  const child = spawnSync(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  if (child.signal) process.kill(process.pid, child.signal);
  process.exitCode = child.status ?? 2;
}

#!/usr/bin/env node
// Starts `policy` on a Node.js that can run it: the bundle where it is current, else the sources of the checkout.
import { existsSync, readdirSync, statSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const bundle = file('../dist/policy.mjs');
const sources = file('../src/cli/main.ts');

/** A package has only the bundle; in a checkout the bundle counts while no source is newer. */
function entry() {
  if (!existsSync(sources)) return bundle;
  if (!existsSync(bundle)) return sources;
  const builtAt = statSync(bundle).mtimeMs;
  const newer = ['../src', '../packages/nftables-json/src'].some((folder) =>
    readdirSync(file(folder), { recursive: true, withFileTypes: true }).some(
      (item) => !item.name.endsWith('.test.ts') && statSync(join(item.parentPath, item.name)).mtimeMs > builtAt,
    ),
  );
  return newer ? sources : bundle;
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 24 || (major === 24 && minor >= 11)) {
  nodeModule.enableCompileCache();
  const { main } = await import(entry());
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
  const { spawnSync } = await import('node:child_process');
  const child = spawnSync(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  if (child.signal) process.kill(process.pid, child.signal);
  process.exitCode = child.status ?? 2;
}

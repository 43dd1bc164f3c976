import { defineConfig } from 'rolldown';

/** One entry, one lazy chunk per command; nothing but node's own modules stays outside. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  input: { policy: 'src/cli/main.ts' },
  platform: 'node',
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].mjs',
    chunkFileNames: 'chunks/[name]-[hash].mjs',
    cleanDir: true,
    minify: true,
    comments: { legal: true },
  },
});

export default config;

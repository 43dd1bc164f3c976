import { defineConfig } from 'vitest/config';

const setupFiles = ['test/support/generated.ts'];

const config: ReturnType<typeof defineConfig> = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'packages/*/src/**/*.test.ts',
            'test/*.test.ts',
            'test/oracle/**/*.test.ts',
            'test/api-server/**/*.test.ts',
          ],
          testTimeout: 30_000,
          setupFiles,
        },
      },
      { test: { name: 'property', include: ['test/property/**/*.test.ts'], testTimeout: 300_000, setupFiles } },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          setupFiles,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          setupFiles,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

export default config;

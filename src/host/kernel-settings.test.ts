import { describe, expect, test } from 'vitest';

import { ensureBridgeNetfilter, readKernelSettings } from './kernel-settings.ts';
import type { SettingFiles } from './kernel-settings.ts';

const V4 = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const V6 = '/proc/sys/net/bridge/bridge-nf-call-ip6tables';

function files(values: ReadonlyMap<string, string>, write: 'works' | 'read-only' | 'ignored' = 'works'): SettingFiles {
  const now = new Map(values);
  return {
    read: async (path) => {
      const value = now.get(path);
      if (value === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
      return `${value}\n`;
    },
    write: async (path, text) => {
      if (write === 'read-only') throw Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
      if (write === 'works') now.set(path, text);
    },
  };
}

describe('ensureBridgeNetfilter', () => {
  test('leaves what is on', async () => {
    expect(
      await ensureBridgeNetfilter({
        files: files(
          new Map([
            [V4, '1'],
            [V6, '1'],
          ]),
        ),
      }),
    ).toEqual({ kind: 'on', changed: [] });
  });

  test('sets what is off and says so', async () => {
    const off = files(
      new Map([
        [V4, '1'],
        [V6, '0'],
      ]),
    );
    expect(await ensureBridgeNetfilter({ files: off })).toEqual({
      kind: 'on',
      changed: ['net.bridge.bridge-nf-call-ip6tables'],
    });
    expect(await readKernelSettings(off)).toEqual({ bridgeNetfilter4: true, bridgeNetfilter6: true });
  });

  test.each(['read-only', 'ignored'] as const)('a write that is %s is reported as off', async (write) => {
    const result = await ensureBridgeNetfilter({
      files: files(
        new Map([
          [V4, '0'],
          [V6, '1'],
        ]),
        write,
      ),
    });
    expect(result).toMatchObject({
      kind: 'off',
      setting: 'net.bridge.bridge-nf-call-iptables',
      help: expect.stringContaining('sysctl -w'),
    });
  });

  test('one family alone is off', async () => {
    expect(await ensureBridgeNetfilter({ files: files(new Map([[V4, '1']])) })).toMatchObject({
      kind: 'off',
      setting: 'net.bridge.bridge-nf-call-ip6tables',
    });
  });

  test('without br_netfilter it says how to load it, and tries to if it may', async () => {
    const asked: string[] = [];
    const modules = {
      run: async (command: string, args: readonly string[]) => {
        asked.push([command, ...args].join(' '));
        return '';
      },
      follow: async () => undefined,
    };
    const result = await ensureBridgeNetfilter({ files: files(new Map()), modules });
    expect(asked).toEqual(['modprobe br_netfilter']);
    expect(result).toMatchObject({ kind: 'off', help: expect.stringContaining('modprobe br_netfilter') });
  });
});

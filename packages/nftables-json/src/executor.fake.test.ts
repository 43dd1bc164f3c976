import { describe, expect, test } from 'vitest';
import { inTable } from './contract-words.ts';
import { NftError } from './errors.ts';
import { executorContract } from './executor.contract.ts';
import { FakeExecutor } from './fake.ts';
import type { Command } from './grammar.ts';
import { Transaction } from './transaction.ts';

const table = { family: inTable.family, name: inTable.table };

describe('the fake keeps the executor contract', () => {
  executorContract(() => new FakeExecutor());
});

describe('the fake', () => {
  test('names the command at fault', async () => {
    const fake = new FakeExecutor();
    const transaction = new Transaction().addTable(table).deleteChain({ ...inTable, name: 'c' });
    await expect(fake.run(transaction)).rejects.toMatchObject({ code: 'not-found', commandIndex: 1 });
    expect(await fake.list(table)).toBeUndefined();
  });

  test('fails the next run on demand, once', async () => {
    const fake = new FakeExecutor();
    const error = new NftError('injected', { code: 'busy' });
    fake.failNextRun(error);
    await expect(fake.run(new Transaction().addTable(table))).rejects.toBe(error);
    expect(await fake.list(table)).toBeUndefined();
    await fake.run(new Transaction().addTable(table));
    expect(await fake.list(table)).toBeDefined();
  });

  test('can lose the answer of a transaction that was applied', async () => {
    const fake = new FakeExecutor();
    fake.failNextRun(new NftError('killed', { code: 'timeout' }), { applied: true });
    await expect(fake.run(new Transaction().addTable(table))).rejects.toMatchObject({ code: 'timeout' });
    expect(await fake.list(table)).toBeDefined();
  });

  test('shows each applied transaction to its observer', async () => {
    const seen: (readonly Command[])[] = [];
    const fake = new FakeExecutor({ onApplied: (commands) => seen.push(commands) });
    await fake.run(new Transaction().addTable(table));
    await fake.check(new Transaction().deleteTable(table));
    await expect(fake.run(new Transaction().deleteChain({ ...inTable, name: 'c' }))).rejects.toThrow('no chain c');
    expect(seen).toEqual([[{ add: { table } }]]);
  });

  test('gives every table its own handles', async () => {
    const fake = new FakeExecutor();
    await fake.run(
      new Transaction()
        .addTable(table)
        .addChain({ ...inTable, name: 'c' })
        .addSet({ ...inTable, name: 's', type: 'mark' }),
    );
    const listing = await fake.list(table);
    expect([listing?.chains[0]?.handle, listing?.sets[0]?.handle]).toEqual([1, 2]);
  });
});

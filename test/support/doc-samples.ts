import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The checkout. */
export const root: string = join(import.meta.dirname, '../..');

/** A fenced block of a page. */
export interface DocBlock {
  /** Relative to the checkout. */
  readonly page: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  /** Given by `<!-- sample: NAME, produced by PATH -->` on the line before: the test that produces what commands print. */
  readonly sample?: { readonly name: string; readonly by: string };
  readonly body: readonly string[];
}

/** A command line of a block, and the output below it. */
export interface DocCommand {
  /** As it stands there. */
  readonly text: string;
  readonly args: readonly string[];
  readonly output: readonly string[];
}

/** Pages for people who use the program. */
export function docPages(): readonly string[] {
  const below = (directory: string): string[] =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md'))
      .map((file) => join(directory, file));
  return ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...below('docs'), ...below('examples')].sort();
}

/** The fenced blocks of a page, in order. */
export function docBlocks(page: string): readonly DocBlock[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n');
  const blocks: DocBlock[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const [, fence, language = ''] = /^\s*(```+)\s*(\w*)/.exec(lines[at] ?? '') ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && line.trim() === fence);
    if (end < 0) throw new Error(`${page}:${at + 1}: a block without end`);
    const marker = /^<!-- sample: ([\w-]+), produced by (\S+) -->$/.exec(lines[at - 1]?.trim() ?? '');
    const [, name, by] = marker ?? [];
    blocks.push({
      page,
      line: at + 1,
      language,
      ...(name === undefined || by === undefined ? {} : { sample: { name, by } }),
      body: lines.slice(at + 1, end),
    });
    at = end;
  }
  return blocks;
}

/** The sample of that name. Throws if there is none. */
export function docSample(name: string): DocBlock {
  const found = docPages()
    .flatMap(docBlocks)
    .find(({ sample }) => sample?.name === name);
  if (found === undefined) throw new Error(`no page has a sample ${name}`);
  return found;
}

/** The commands of a block: `$ policy ARGS`, also by its path in the checkout. Words may be quoted. */
export function docCommands({ page, line, body }: DocBlock): readonly DocCommand[] {
  const commands: { text: string; args: readonly string[]; output: string[] }[] = [];
  for (const text of body) {
    const [, words] = /^\$ (?:policy|bin\/policy\.mjs) (.*)$/.exec(text) ?? [];
    if (words !== undefined)
      commands.push({
        text,
        args: (words.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", '')),
        output: [],
      });
    else if (commands.length === 0) throw new Error(`${page}:${line}: output before any command`);
    else commands.at(-1)?.output.push(text);
  }
  return commands;
}

/** Whether a text is as shown; a line `...` stands for any lines. */
export function isAsShown(shown: readonly string[], text: string): boolean {
  const literal = (line: string): string => line.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const pattern = shown.map((line) => (line.trim() === '...' ? '(?:.*\n)*' : `${literal(line)}\n`)).join('');
  return new RegExp(`^${pattern}$`).test(`${text.replace(/\n$/, '')}\n`);
}

/** Without what differs from machine to machine and run to run. */
export function withoutChance(text: string): string {
  return text
    .replaceAll(/veth[0-9a-f]{8}(?: \. [\d.]+)?/g, 'veth#')
    .replaceAll(/handle \d+ */g, 'handle # ')
    .replaceAll(/\d+ packets? */g, '# packets ')
    .replaceAll(/\d+ s ago/g, '# s ago')
    .replaceAll(/https:\/\/[\d.]+:\d+/g, 'https://server')
    .replaceAll(/ +$/gm, '');
}

/** What a page shows of a sample, beside what was printed; rewritten first if goldens are to be updated. */
export function compareSample(name: string, printed: string): { readonly shown: string; readonly found: string } {
  let block = docSample(name);
  const update = process.env['UPDATE_GOLDENS'] !== undefined && !block.body.some((line) => line.trim() === '...');
  if (update) {
    rewrite(block, [block.body[0] ?? '', ...printed.replace(/\n$/, '').split('\n')]);
    block = docSample(name);
  }
  const [command] = docCommands(block);
  const shown = withoutChance((command?.output ?? []).join('\n'));
  const found = withoutChance(printed.replace(/\n$/, ''));
  return isAsShown(shown.split('\n'), found) ? { shown, found: shown } : { shown, found };
}

/** Replaces the lines of a block. */
export function rewrite({ page, line, body }: DocBlock, lines: readonly string[]): void {
  const path = join(root, page);
  const all = readFileSync(path, 'utf8').split('\n');
  all.splice(line, body.length, ...lines);
  writeFileSync(path, all.join('\n'));
}

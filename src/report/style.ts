/** What a piece of text is, for colouring. */
export type Tone = 'good' | 'bad' | 'care' | 'mark' | 'dim' | 'strong';

/** Colours text, or leaves it alone. */
export type Paint = (tone: Tone, text: string) => string;

const codes: Readonly<Record<Tone, string>> = {
  good: '1;32',
  bad: '1;31',
  care: '1;33',
  mark: '1;31',
  dim: '34',
  strong: '1',
};

/** Leaves every text as it is. */
export const plain: Paint = (_tone, text) => text;

/** Colours for terminals. */
export const coloured: Paint = (tone, text) => (text === '' ? text : `\u001B[${codes[tone]}m${text}\u001B[0m`);

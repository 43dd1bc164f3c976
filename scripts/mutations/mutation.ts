/** One mistake somebody could make: a text in a file that becomes another. */
export interface Mutation {
  /** Short and unique: what an engine with this mistake does. */
  readonly name: string;
  /** Below the repository. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
  /** Why somebody could write it. */
  readonly why: string;
}

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
  /**
   * It changes no verdict about known pods, or only in policies larger than those the judges of flows ask about:
   * tests beside the code must notice.
   */
  readonly besideFlows?: true;
}

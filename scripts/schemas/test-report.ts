const closed = (properties: Readonly<Record<string, object>>, rest: object = {}): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...rest,
});

const list = (items: object): object => ({ type: 'array', items });
const verdict = { enum: ['allow', 'deny', 'unknown'] };
const count = (description: string): object => ({ description, type: 'integer', minimum: 0 });

/** What `policy test -o json` prints. */
export const testReportSchema: object = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://nftpolicy.dev/schemas/test-report.json',
  title: 'Output of policy test -o json',
  ...closed({
    apiVersion: { const: 'nftpolicy.dev/test/v1' },
    cases: list({ $ref: '#/$defs/case' }),
    passed: count('Undisputed flows that are as expected.'),
    failed: count('Undisputed flows that are not: more than 0 is exit status 1.'),
    disputed: count('Flows whose answer depends on a documented gap in the API; they never fail.'),
  }),
  $defs: {
    case: {
      description: 'One folder: its flows, or its steps of change with the flows that hold after each.',
      anyOf: [
        closed({ case: { description: 'The folder as given.', type: 'string' }, flows: list({ $ref: '#/$defs/flow' }) }),
        closed({
          case: { description: 'The folder as given.', type: 'string' },
          steps: list(closed({ flows: list({ $ref: '#/$defs/flow' }) })),
        }),
      ],
    },
    flow: closed({
      index: { description: 'Position in its list of flows, from 0.', type: 'integer', minimum: 0 },
      verdict: { description: 'Egress of the source and ingress of the destination.', ...verdict },
      egress: { description: 'Of the source alone; allow if no policed pod stands there.', ...verdict },
      ingress: { description: 'Of the destination alone; allow if no policed pod stands there.', ...verdict },
      expect: { enum: ['allow', 'deny'] },
      pass: { description: 'The verdict and each side that the flow states are as expected.', type: 'boolean' },
      disputed: { description: 'Names of the gaps in the API that this answer depends on.', ...list({ type: 'string' }) },
    }),
  },
};

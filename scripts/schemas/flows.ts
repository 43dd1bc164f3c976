const closed = (properties: Readonly<Record<string, object>>, optional: readonly string[] = []): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});

const list = (items: object): object => ({ type: 'array', items });
const text = (description?: string): object => ({ type: 'string', ...(description === undefined ? {} : { description }) });
const verdict = { enum: ['allow', 'deny', 'unknown'] };
const direction = { enum: ['egress', 'ingress'] };
const family = { description: 'Only in this family; absent: in every family both ends have.', enum: ['IPv4', 'IPv6'] };
const relation = { enum: ['own', 'other'] };
const names = (description: string): object => ({ description, ...list(text()) });
const classIds = (description: string): object => ({ description, ...list({ type: 'integer', minimum: 1 }) });
const portNumber = { type: 'integer', minimum: 1, maximum: 65535 };

const ports = {
  description: 'Sorted by protocol and number; absent if there are none.',
  ...list(closed({ protocol: { enum: ['TCP', 'UDP', 'SCTP'] }, from: portNumber, to: portNumber })),
};
const other = { description: 'ICMP and every other protocol too; absent if not.', const: true };
const portSet = (description: string): object => ({ description, ...closed({ ports, other }, ['ports', 'other']) });

const id = { description: 'By which flows refer to it.', type: 'integer', minimum: 1 };

/** A class of ends; `more` are properties of pod classes. */
const endClass = (more: Readonly<Record<string, object>> = {}): object => ({
  anyOf: [
    closed({
      id,
      kind: { const: 'pods' },
      name: text(),
      namespace: text(),
      pods: names('Pods of the namespace that no policy tells apart, as NAMESPACE/NAME.'),
      ...more,
    }),
    closed({
      id,
      kind: { const: 'nodes' },
      name: text(),
      relation: { description: "Whether they are the pod's own node, in each state.", ...list(relation) },
      nodes: names('Names; empty for the node of a hostNetwork pod without one.'),
    }),
    closed({
      id,
      kind: { const: 'outside' },
      name: text(),
      cidrs: names('The fewest blocks that hold these addresses; those of pods and nodes in them do not count.'),
    }),
  ],
});

const head = (name: string, title: string): object => ({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: `https://nftpolicy.dev/schemas/${name}.json`,
  title,
});

/** What `policy map -o json` prints. */
export const mapSchema: object = {
  ...head('map', 'Output of policy map -o json'),
  ...closed({
    apiVersion: { const: 'nftpolicy.dev/map/v1' },
    kind: { const: 'FlowMap' },
    classes: list({ $ref: '#/$defs/class' }),
    flows: {
      description: 'Flows from any class of `from` to any of `to`. What is not listed is denied; a pod reaches itself.',
      ...list(
        closed(
          {
            from: classIds('Sources.'),
            to: classIds('Destinations.'),
            family,
            allowed: portSet('What passes.'),
            unknown: portSet('What depends on facts that are missing.'),
          },
          ['family', 'allowed', 'unknown'],
        ),
      ),
    },
    withoutAddress: names('Pods without an address of their own: they have no flows.'),
  }),
  $defs: {
    class: endClass({
      isolated: {
        description: 'Whether some policy isolates the pods; if none does, they are unprotected.',
        ...closed({ egress: { type: 'boolean' }, ingress: { type: 'boolean' } }),
      },
    }),
  },
};

const sideState = closed(
  {
    verdict,
    reason: text('Why: not-isolated, allowed-by-rule, no-rule-admits, node-traffic and so on.'),
    admittedBy: {
      description: 'The first rule that admits, counted from 1.',
      ...closed({ policy: text(), rule: { type: 'integer', minimum: 1 } }),
    },
    policies: names('Policies that isolate this side.'),
  },
  ['admittedBy'],
);

const strays = closed({
  pods: list(
    closed({
      name: text('NAMESPACE/WORKLOAD, or the pod.'),
      pods: names('NAMESPACE/NAME.'),
      unprotected: { description: 'Directions in which no policy isolates them.', ...list(direction) },
    }),
  ),
  nodes: names('Names of nodes.'),
});

/** What `policy diff -o json` prints. */
export const diffSchema: object = {
  ...head('diff', 'Output of policy diff -o json'),
  ...closed({
    apiVersion: { const: 'nftpolicy.dev/diff/v1' },
    kind: { const: 'FlowDiff' },
    classes: list({ $ref: '#/$defs/class' }),
    flows: {
      description: 'Flows whose verdict changes, and no other, from any class of `from` to any of `to`.',
      ...list(
        closed(
          {
            effect: { description: 'More passes than before, or less; unknown is in between.', enum: ['opened', 'closed'] },
            from: classIds('Sources.'),
            to: classIds('Destinations.'),
            family,
            ports,
            other,
            before: verdict,
            after: verdict,
            sides: {
              description: 'The sides that decide otherwise.',
              ...list(closed({ direction, before: { $ref: '#/$defs/side' }, after: { $ref: '#/$defs/side' } })),
            },
          },
          ['family', 'ports', 'other'],
        ),
      ),
    },
    isolation: {
      description: 'Pods that some policy isolates in only one of the states, even if no verdict changes.',
      ...list(
        closed({
          class: id,
          direction,
          after: { enum: ['isolated', 'unprotected'] },
          policies: names('Those that isolate, in the state where they do.'),
        }),
      ),
    },
    added: { description: 'Only in the new state: flows are not compared.', ...strays },
    removed: { description: 'Only in the old state: flows are not compared.', ...strays },
  }),
  $defs: { class: endClass(), side: sideState },
};

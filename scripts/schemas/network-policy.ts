import { dnsLabel, ipv4Block, ipv6Block, labelKey, labelValue, portName, subdomain } from './patterns.ts';

const ref = (name: string): object => ({ $ref: `#/$defs/${name}` });
const orNull = (schema: object): object => ({ anyOf: [{ type: 'null' }, schema] });
const closed = (properties: object, rest: object = {}): object => ({
  type: 'object',
  properties,
  additionalProperties: false,
  ...rest,
});
const listOf = (items: object, rest: object = {}): object => ({ type: ['array', 'null'], items, ...rest });

const given = (name: string): object => ({ properties: { [name]: { type: 'object' } }, required: [name] });
const notGiven = (...names: readonly string[]): object => ({
  properties: Object.fromEntries(names.map((name) => [name, { type: 'null' }])),
});

const ruleOf = (peers: 'from' | 'to'): object => ({
  description: `A packet passes if it matches an entry of "${peers}" and one of "ports". Null is an empty rule: it admits everything.`,
  ...orNull(
    closed({
      [peers]: listOf(ref('peer'), { description: 'Missing, null or empty: anyone.' }),
      ports: listOf(ref('port'), { description: 'Missing, null or empty: every port of every protocol.' }),
    }),
  ),
});

/**
 * NetworkPolicy as nftpolicy accepts it without complaint. Unknown fields are errors: the API server would drop them
 * and keep the rest. Null means "not given" wherever the API stores it so. Names of entries follow the API types.
 */
export const networkPolicySchema: object = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://nftpolicy.dev/schemas/networkpolicy.json',
  title: 'NetworkPolicy (networking.k8s.io/v1) as nftpolicy accepts it',
  description:
    'Strict: a field the API does not know is an error. A JSON Schema cannot say that an exception lies inside its block or that endPort is not below port; policy lint and policy explain check that too.',
  type: 'object',
  properties: {
    apiVersion: { const: 'networking.k8s.io/v1' },
    kind: { const: 'NetworkPolicy' },
    metadata: ref('metadata'),
    spec: ref('spec'),
    status: { description: 'Ignored; API servers before 1.28 may have stored one.' },
  },
  required: ['apiVersion', 'kind', 'metadata'],
  additionalProperties: false,
  $defs: {
    metadata: {
      description: 'Other fields of ObjectMeta are not looked at.',
      type: 'object',
      properties: {
        name: { type: 'string', pattern: subdomain, maxLength: 253 },
        namespace: {
          description: 'Missing, null or empty: "default".',
          anyOf: [{ type: 'null' }, { const: '' }, { type: 'string', pattern: dnsLabel, maxLength: 63 }],
        },
      },
      required: ['name'],
    },
    spec: {
      description: 'Missing, null or empty: isolates every pod of the namespace for ingress.',
      ...orNull(
        closed({
          podSelector: { description: 'Missing, null or empty: every pod of the namespace.', ...orNull(ref('selector')) },
          policyTypes: {
            description: 'Missing, null or empty: Ingress, and Egress if "egress" has a rule.',
            ...listOf({ enum: ['Ingress', 'Egress'] }, { maxItems: 2 }),
          },
          ingress: listOf(ref('ingressRule')),
          egress: listOf(ref('egressRule')),
        }),
      ),
    },
    ingressRule: ruleOf('from'),
    egressRule: ruleOf('to'),
    peer: {
      description: 'A selection of pods, or a block of addresses, never both.',
      ...closed({
        podSelector: orNull(ref('selector')),
        namespaceSelector: orNull(ref('selector')),
        ipBlock: orNull(ref('ipBlock')),
      }),
      anyOf: [
        { ...given('ipBlock'), allOf: [notGiven('podSelector', 'namespaceSelector')] },
        { ...given('podSelector'), allOf: [notGiven('ipBlock')] },
        { ...given('namespaceSelector'), allOf: [notGiven('ipBlock')] },
      ],
    },
    ipBlock: closed(
      {
        cidr: ref('block'),
        except: listOf(ref('block'), { description: 'Each a smaller block inside "cidr".' }),
      },
      { required: ['cidr'] },
    ),
    block: {
      description: 'ADDRESS/PREFIX. Bits behind the prefix are ignored, with a warning.',
      type: 'string',
      anyOf: [{ pattern: ipv4Block }, { pattern: ipv6Block }],
    },
    port: {
      description: 'Null or empty: every TCP port.',
      anyOf: [
        { type: 'null' },
        closed(
          {
            protocol: { description: 'Missing or null: TCP.', enum: ['TCP', 'UDP', 'SCTP', null] },
            port: {
              description: 'A number, or the name of a container port of the destination. Missing or null: every port.',
              anyOf: [
                { type: 'null' },
                ref('portNumber'),
                { type: 'string', pattern: portName, maxLength: 15 },
              ],
            },
            endPort: { description: 'The last port of a range that starts at a number.', ...orNull(ref('portNumber')) },
          },
          {
            anyOf: [notGiven('endPort'), { properties: { port: { type: 'integer' } }, required: ['port'] }],
          },
        ),
      ],
    },
    portNumber: { type: 'integer', minimum: 1, maximum: 65_535 },
    selector: {
      description: 'All conditions hold. Empty: everything of its kind.',
      ...closed({
        matchLabels: {
          type: ['object', 'null'],
          propertyNames: { pattern: labelKey },
          additionalProperties: orNull(ref('labelValue')),
        },
        matchExpressions: listOf(ref('expression')),
      }),
    },
    expression: {
      ...closed(
        {
          key: { type: 'string', pattern: labelKey },
          operator: { enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] },
          values: listOf(orNull(ref('labelValue'))),
        },
        { required: ['key', 'operator'] },
      ),
      anyOf: [
        {
          properties: { operator: { enum: ['In', 'NotIn'] }, values: { type: 'array', minItems: 1 } },
          required: ['values'],
        },
        {
          properties: {
            operator: { enum: ['Exists', 'DoesNotExist'] },
            values: { type: ['array', 'null'], maxItems: 0 },
          },
        },
      ],
    },
    labelValue: { type: 'string', pattern: labelValue, maxLength: 63 },
  },
};

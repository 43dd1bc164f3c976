import { reasonCodes, reasonNames, relatedLint } from '../../src/explain/codes.ts';
import { closed, count, list, ref, text } from './words.ts';

const orNull = (...types: readonly string[]): object => ({ type: [...types, 'null'] });

const code = { enum: reasonCodes };
const lint = { enum: Object.keys(relatedLint) };
const protocol = { enum: ['TCP', 'UDP', 'SCTP', 'ICMP'] };
const family = { description: 'null if an address is not known.', enum: ['IPv4', 'IPv6', null] };
const port = { type: 'integer', minimum: 1, maximum: 65_535 };
const outcome = { enum: ['ALLOWED', 'DENIED', 'UNPROTECTED', 'UNKNOWN'] };

/** What `policy explain -o json` prints. */
export const explanationSchema: object = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://nftpolicy.dev/schemas/explanation.json',
  title: 'Output of policy explain -o json',
  ...closed(
    {
      apiVersion: { const: 'nftpolicy.dev/v1' },
      kind: { const: 'Explanation' },
      verdict: { description: 'The worst outcome of all steps: DENIED, UNKNOWN, UNPROTECTED, ALLOWED.', ...outcome },
      codes: { description: 'Why, if it is DENIED or UNKNOWN; in the order of the blockers.', ...list(code) },
      question: closed({
        from: ref('end'),
        to: ref('end'),
        protocol,
        port: { description: 'As asked; null: every port.', ...orNull('integer', 'string') },
      }),
      steps: { description: 'In the order in which packets meet them.', ...list({ anyOf: [ref('dns'), ref('service'), ref('flow')] }) },
      suggestions: list(ref('suggestion')),
      missingFacts: list(
        closed(
          {
            object: { anyOf: [ref('end'), closed({ kind: { const: 'Namespace' }, name: text('Its name.') })] },
            facts: { enum: ['labels', 'addresses', 'ports', 'node', 'policies', 'owner', 'existence'] },
            neededBy: text('The policy, rule and field that ask for it.'),
          },
          { span: ref('span') },
        ),
      ),
      assumptions: list({ enum: ['pods-exist-and-run', 'pods-not-host-network', 'no-policies-in-namespace', 'namespace-name-label'] }),
      warnings: list(closed({ text: text('What the verdict does not show.') }, { code: lint })),
      installed: {
        description: 'What the kernel of each node that was asked does with the same flows; null if none was.',
        anyOf: [list(ref('installed')), { type: 'null' }],
      },
      inputs: closed({
        files: list({ type: 'string' }),
        policies: count('NetworkPolicies judged.'),
        pods: count('Pods read.'),
        services: count('Services read.'),
        namespaces: count('Namespaces read.'),
        nodes: count('Nodes read.'),
      }),
    },
    {
      before: {
        description: 'The answer without --what-if and --without.',
        ...closed({ verdict: outcome, codes: list(code), steps: list({ anyOf: [ref('dns'), ref('service'), ref('flow')] }) }),
      },
    },
  ),
  $defs: {
    end: {
      anyOf: [
        closed({
          kind: { enum: ['Pod', 'Service', 'Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob'] },
          namespace: text('Its namespace.'),
          name: text('Its name.'),
        }),
        closed({ kind: { const: 'Node' }, name: text('Its name.') }),
        closed({ kind: { const: 'Address' }, address: text('An IP address that nobody in the cluster has.') }),
        closed({ kind: { const: 'Block' }, cidr: text('A block of addresses, or first-last.') }),
      ],
    },
    span: {
      description: 'A place in a text. Lines and columns count from 1, the end is exclusive.',
      ...closed(
        { file: text('As given; namespace/name of an object of a cluster, which is rendered as YAML.'), start: ref('position'), end: ref('position') },
        { field: text('Of a rendered object: the path of the field.') },
      ),
    },
    installed: closed(
      {
        node: text('Whose kernel was asked.'),
        state: {
          description: 'absent: nothing is enforced there; no-agent: nobody there could be asked.',
          enum: ['read', 'absent', 'no-agent'],
        },
        flows: list(
          closed(
            {
              from: text('One end.'),
              to: text('The other end.'),
              protocol,
              port: orNull('integer'),
              family: { enum: ['IPv4', 'IPv6'] },
              verdict: { description: 'What packets meet; null if the rules cannot be followed.', enum: [...outcome.enum, null] },
              policiesSay: outcome,
              chains: list(
                closed(
                  {
                    node: text('Whose kernel it is.'),
                    direction: { enum: ['egress', 'ingress'] },
                    chain: text('The chain of the deciding rule.'),
                    handle: orNull('integer'),
                    verdict: { enum: ['accept', 'drop', 'reject'] },
                    packets: { description: 'null: nobody counts.', ...orNull('integer') },
                    rules: list(
                      closed({ policy: text('namespace/name.'), direction: { enum: ['egress', 'ingress'] }, rule: count('From 1.') }),
                    ),
                    more: count('Policy rules that did not fit into the comment of the deciding rule.'),
                    lookups: list(closed({ set: text('Its name.'), element: { description: 'null: it misses.', ...orNull('string') } })),
                    path: list(ref('installedStep')),
                  },
                  { comment: text('Of a rule that is no policy\'s.') },
                ),
              ),
              differences: list(
                closed({
                  node: text('Where.'),
                  direction: { enum: ['egress', 'ingress'] },
                  expected: { enum: ['allow', 'deny'] },
                  found: { enum: ['allow', 'deny'] },
                  text: text('What is wrong.'),
                }),
              ),
            },
            { ports: text('The ports it stands for, if the question names none.'), why: text('Why there are no chains.') },
          ),
        ),
        warnings: list({ type: 'string' }),
      },
      {
        trace: closed({
          state: { description: 'none: no packet came in time.', enum: ['seen', 'none', 'established'] },
          waitedSeconds: { type: 'number' },
          kernel: list(ref('installedStep')),
          simulated: list(ref('installedStep')),
          same: { type: 'boolean' },
        }),
      },
    ),
    installedStep: closed({
      family: text('inet or bridge.'),
      chain: text('Its chain.'),
      handle: orNull('integer'),
      verdict: text('accept, drop, reject, return, goto CHAIN or jump CHAIN.'),
    }),
    position: closed({ line: { type: 'integer', minimum: 1 }, column: { type: 'integer', minimum: 1 } }),
    dns: closed({
      kind: { const: 'dns' },
      verdict: { description: 'null: there is no such Service here, nothing was judged.', enum: [...outcome.enum, null] },
      server: ref('end'),
      flows: list(closed({ to: ref('end'), protocol, port, family, verdict: outcome })),
    }),
    service: closed(
      {
        kind: { const: 'service' },
        service: ref('end'),
        address: { description: 'null: headless, without address, or another name.', ...orNull('string') },
        port: { description: 'null: not asked.', ...orNull('integer') },
        targetPort: orNull('integer', 'string'),
        endpoints: list(ref('end')),
      },
      { span: ref('span') },
    ),
    flow: closed(
      { kind: { const: 'flow' }, from: ref('end'), to: ref('end'), protocol, family, verdict: outcome, egress: ref('side'), ingress: ref('side') },
      {
        port: { description: 'After translation; absent for ICMP.', ...port },
        ports: text('The ports this one stands for, if no port was asked.'),
        count: { description: 'Flows of like pods that this one stands for; absent: 1.', type: 'integer', minimum: 2 },
        remark: text('What sets it apart from the other flows.'),
      },
    ),
    side: closed({
      verdict: { enum: ['allow', 'deny', 'unknown'] },
      reason: closed({ code, name: { enum: Object.values(reasonNames) } }),
      isolated: { description: 'Some policy selects the pod in this direction; null: not known.', type: ['boolean', 'null'] },
      policies: list(ref('policy')),
    }),
    policy: closed(
      { policy: text('namespace/name.'), answer: { enum: ['Admits', 'DoesNotAdmit', 'Undecidable'] }, rules: list(ref('rule')) },
      { span: { description: 'Of its name.', ...ref('span') } },
    ),
    rule: closed(
      {
        index: { description: 'From 1.', type: 'integer', minimum: 1 },
        matched: { description: 'null: undecidable.', type: ['boolean', 'null'] },
      },
      {
        failing: count('Written conditions that fail.'),
        of: count('Written conditions.'),
        closest: { description: 'The rule that comes closest on this side.', const: true },
        conditions: list(ref('condition')),
      },
    ),
    condition: closed(
      {
        kind: { enum: ['namespaceSelector', 'podSelector', 'namespace', 'cidr', 'except', 'port', 'invalid'] },
        matched: { type: 'boolean' },
      },
      {
        code,
        expected: text('What is written.'),
        actual: { description: 'What is so; null: nothing is.', ...orNull('string') },
        span: ref('span'),
      },
    ),
    suggestion: closed(
      {
        code,
        applicability: { description: 'likely: the effect is checked, the intent guessed; sketch: not checkable.', enum: ['likely', 'sketch'] },
        edits: list(closed({ span: ref('span'), newText: { type: 'string' } })),
        effect: {
          anyOf: [
            { type: 'null' },
            closed(
              {
                verdict: outcome,
                otherFlowsChanged: { description: 'Judged flows besides this one; null: too many to judge.', type: ['integer', 'null'], minimum: 0 },
              },
              { removesBlocker: { description: 'Which of several blockers.', type: 'integer', minimum: 1 } },
            ),
          ],
        },
      },
      { rule: { description: 'The lint rule that finds the same.', ...lint } },
    ),
  },
};

import { closedPodNames, refusalNames } from '../../src/cli/code-names.ts';
import { maxObjectProblems } from '../../src/controller/status-report.ts';
import { closed, count, key, list, ref, text } from './words.ts';

const flag = (description: string): object => ({ description, type: 'boolean' });
const time = (description: string): object => ({
  description,
  type: 'string',
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
});
const schema = { const: 'nftpolicy.dev/status/v1' };

const attended = closed(
  {
    schema,
    node: text('Name of the node.'),
    version: text('Version of the agent.'),
    startedAt: time('When the agent started.'),
    state: {
      description:
        'syncing: objects are still being read. cold-start: enforced from objects kept on disk. refused: the node cannot be policed. failing: the newest rules are not in the kernel. In each of them what was in the kernel before stays.',
      enum: ['syncing', 'cold-start', 'enforcing', 'refused', 'failing'],
    },
    ready: flag('The answer of /readyz.'),
    options: closed(
      {
        enforce: { enum: ['every-packet', 'new-connections'] },
        unknownPods: { enum: ['drop', 'accept'] },
        reject: flag('Refused packets are answered.'),
        policeNodeEgress: flag('Egress rules hold towards the own node too.'),
        nodeDns: {
          description: 'Where DNS on the node stays reachable then; auto: at the addresses of its own DNS cache.',
          anyOf: [{ const: 'auto' }, list({ type: 'string' })],
        },
        recordDenied: flag('Denied flows are recorded.'),
      },
    ),
    generation: closed(
      { objects: count('Changes of objects since this agent started.') },
      { applied: count('Generation of the newest objects that the kernel enforces; absent: none yet.') },
    ),
    driftRepaired: count('How often the tables were found changed by somebody else.'),
    settingsRepaired: count('How often bridge-nf-call-* was found off and switched on.'),
    source: closed({
      from: text('A directory or the URL of an API server.'),
      kinds: list(
        closed(
          {
            kind: { enum: ['Namespace', 'Node', 'Pod', 'Service', 'NetworkPolicy'] },
            state: text('What is being done about this kind, in one word.'),
            synced: flag('A complete list has been read.'),
            objects: count('How many are known.'),
          },
          {
            lastHeardAt: time('When something was last heard about the kind.'),
            version: text('Resource version up to which everything is known; only API servers have one.'),
            problem: text('Why it is not followed now.'),
          },
        ),
      ),
    }),
    refusals: list(
      closed({
        code: { enum: Object.keys(refusalNames) },
        severity: { description: 'refuse: nothing is written.', enum: ['refuse', 'warn'] },
        seen: text('What was seen.'),
        why: text('What it would do to policy.'),
        help: text('What would make it work.'),
      }),
    ),
    pods: { description: 'Pods of this node whose traffic is judged, by name.', ...list(ref('pod')) },
    closedPods: {
      description: 'Pods that stay closed because their interface is not certain.',
      ...list(
        closed({
          pod: key('namespace/name'),
          uid: text('Its uid.'),
          code: { enum: Object.keys(closedPodNames) },
          message: text('Why.'),
          help: text('What to do.'),
        }),
      ),
    },
    problems: {
      description: 'What the kernel does not hold.',
      ...list(
        closed(
          { kind: text('What went wrong, in one word.'), message: text('What nft or the kernel said.'), pods: list(key('A pod that is closed by it.')) },
          { object: text('The object that was refused.') },
        ),
      ),
    },
    diagnostics: closed({ errors: count('Errors in objects.'), warnings: count('Warnings about objects.') }),
    objectProblems: {
      description: 'The first of them, errors first.',
      maxItems: maxObjectProblems,
      ...list(
        closed(
          {
            code: { description: 'docs/codes has a page for each.', type: 'string', pattern: '^[A-Z]\\d{3}$' },
            severity: { enum: ['error', 'warning'] },
            message: text('What is wrong.'),
          },
          {
            help: text('What it does to enforcement, or what to do.'),
            object: text('Kind and name.'),
            field: text('The field of the object.'),
            place: text('file:line:column'),
          },
        ),
      ),
    },
  },
  {
    nodeDns: { description: 'Those addresses; only while egress to the node is policed.', ...list({ type: 'string' }) },
    nft: text('Version of the nft that the agent runs; absent if it did not answer at the start.'),
    enforcingSince: time('When this agent first had everything in the kernel.'),
    lastApply: closed(
      { ok: flag('It succeeded.'), at: time('When the last attempt to write ended.') },
      { error: text('Why it failed.') },
    ),
    verifiedAt: time("When the kernel's tables were last listed and compared."),
    hostProblem: text('Why the node could not be observed.'),
    policy: closed(
      {
        policy: key('The policy that was asked for with --wait-for.'),
        known: flag('The agent knows a policy of this name.'),
        applied: flag('The newest state of it that the agent knows is in the kernel.'),
        problems: list(text('Why less is admitted than is written.')),
      },
      {
        generation: count('Generation in which it changed last.'),
        resourceVersion: text('Version in the cluster; absent for objects from files.'),
      },
    ),
  },
);

const unattended = closed({
  schema,
  agent: text('Why no agent answers.'),
  tables: {
    description: 'What the kernel holds; empty: nothing is enforced.',
    ...list(
      closed({
        family: { enum: ['inet', 'bridge'] },
        chains: count('All chains.'),
        podChains: count('Chains of pods.'),
        sets: count('Sets.'),
        maps: count('Maps.'),
      }),
    ),
  },
});

/** What `policy status -o json` prints. */
export const statusSchema: object = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://nftpolicy.dev/schemas/status.json',
  title: 'Output of policy status -o json',
  description: 'What the agent of a node says; or, if none answers, what the kernel holds.',
  anyOf: [ref('attended'), ref('unattended')],
  $defs: {
    attended,
    unattended,
    pod: closed({
      pod: key('namespace/name'),
      uid: text('Its uid.'),
      interface: text('Its interface on the node.'),
      addresses: list({ type: 'string' }),
      attachment: { enum: ['routed', 'bridged'] },
      ingress: ref('section'),
      egress: ref('section'),
    }),
    section: closed({
      isolated: flag('Some policy isolates the pod in this direction.'),
      policies: list(key('A policy that decides.')),
      audits: list(key('A policy in audit mode: recorded only.')),
    }),
  },
};

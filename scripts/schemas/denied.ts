import { closed, count, key, list, ref } from './words.ts';

/** What `policy denied -o json` prints; with `-w` each line is one `flow`. */
export const deniedSchema: object = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'https://nftpolicy.dev/schemas/denied.json',
  title: 'Output of policy denied -o json',
  description: 'With -w every line is one flow, as under $defs/flow: new ones, and those with new packets.',
  ...closed(
    {
      schema: { const: 'nftpolicy.dev/denied/v1' },
      flows: { description: 'Most recent first.', ...list(ref('flow')) },
    },
    {
      node: { description: 'Name of the node; absent if no agent answers.', type: 'string' },
      recording: {
        description: 'Denied flows are recorded; false: only would-deny is. Absent if no agent answers.',
        type: 'boolean',
      },
    },
  ),
  $defs: {
    flow: closed(
      {
        mode: { description: 'would-deny: policies in audit mode only; the packets passed.', enum: ['denied', 'would-deny'] },
        from: ref('end'),
        to: ref('end'),
        protocol: { description: 'tcp, udp or sctp.', type: 'string' },
        port: { description: 'Destination port.', type: 'integer', minimum: 0, maximum: 65_535 },
        ageSeconds: count('Since the last packet that was recorded; a record is kept for 300 s.'),
        reason: {
          description:
            'no-rule-admits: policies isolate the pod and no rule admits the flow. pod-closed: the pod is closed, see policy status. unknown-pod: no pod of this node is known by these addresses. allowed-now: it would pass by now. unexplained: no agent was there to say.',
          enum: ['no-rule-admits', 'pod-closed', 'unknown-pod', 'allowed-now', 'unexplained'],
        },
        policies: { description: 'Those that isolate the pod in this direction.', ...list(key('namespace/name')) },
      },
      {
        packets: count('Recorded packets: at least these. Absent if the kernel does not tell.'),
        direction: { description: 'The side that denies, seen from its pod.', enum: ['ingress', 'egress'] },
      },
    ),
    end: closed(
      { address: { type: 'string' } },
      { pod: key('namespace/name'), node: { description: 'Name of the node that has the address.', type: 'string' } },
    ),
  },
};

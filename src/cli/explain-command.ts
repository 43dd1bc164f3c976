import { Option } from 'commander';
import type { Command } from 'commander';

import type { ExplainOptions } from './commands/explain.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-code.ts';

const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];

const examples = `
Examples:
  policy explain -f manifests/ -n shop web-7d9c5 api-6f4b8:8080   one pod to another
  policy explain -f manifests/ -n shop deploy/web svc/db:5432     a workload to a Service: DNS, translation, both sides
  policy explain -f manifests/ shop/web-7d9c5 10.20.0.5:443       to an address outside
  policy explain -f manifests/ shop/web-7d9c5 shop/db-0           which ports are open
  policy explain -f manifests/ 10.0.0.0/8 shop/api-6f4b8:8080     which part of a block may connect
  policy explain -f manifests/ --what-if new.yaml shop/web-7d9c5 shop/db-0:5432
  kubectl get netpol,pod,ns,svc,no -A -o yaml | policy explain -f - shop/web-7d9c5 shop/db-0:5432
  policy explain --context prod -n shop web-7d9c5 api-6f4b8:8080  the cluster itself
  policy explain --installed require shop/web-7d9c5 shop/api-6f4b8:8080   and the kernels of both ends, by their agents
  policy explain --trace 30 shop/web-7d9c5 shop/api-6f4b8:8080    on their node: the kernel's rules, and one packet
  policy explain --code E031

Ends: pod deploy sts ds rs job cronjob svc node, with kubectl's short names; [IPV6]:PORT for IPv6.
Exit: 0 ALLOWED or UNPROTECTED, 1 DENIED, 2 usage or input, 3 UNKNOWN.
With --expect: 0 as expected, 1 not, 3 UNKNOWN.`;

/** Adds `policy explain` to the program. */
export function addExplain(program: Command, context: Context, finish: (code: ExitCode) => void): void {
  program
    .command('explain')
    .description('may FROM reach TO, and which lines of YAML decide it?')
    .argument('[from]', 'POD, NAMESPACE/POD, KIND/NAME, NAMESPACE/KIND/NAME, an address or a CIDR')
    .argument('[to]', 'like FROM, with :PORT or :PORT/PROTOCOL; without a port, every port')
    .option('-f, --filename <path>', 'manifests: a file, a directory or - (repeatable)', collect, [])
    .option('-R, --recursive', 'read directories recursively', false)
    .option('-k, --kustomize <dir>', 'manifests: what kubectl kustomize renders from a directory')
    .option(
      '-n, --namespace <name>',
      'namespace of ends given without one (default: that of the context, else default)',
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['text', 'wide', 'json', 'yaml']).default('text'),
    )
    .option('--port <port>', 'the same as TO:PORT')
    .addOption(new Option('--protocol <name>', 'protocol of the flow').choices(['tcp', 'udp', 'sctp', 'icmp']))
    .addOption(new Option('--family <4|6>', 'ask one address family only').choices(['4', '6']))
    .option('--what-if <path>', 'answer with these objects added or replaced, and before (repeatable)', collect, [])
    .option('--without <kind/ns/name>', 'answer without this object, and before (repeatable)', collect, [])
    .addOption(new Option('--expect <verdict>', 'exit 0 if this is the answer, 1 if not').choices(['allow', 'deny']))
    .option('-q, --quiet', 'print nothing: the exit code answers', false)
    .option('--no-dns', 'do not judge name resolution for Services')
    .option('--dns-service <ns/name>', 'the Service that resolves names', 'kube-system/kube-dns')
    .option('--police-node-egress', 'judge egress to the own node by rules too', false)
    .option('--node-dns <addresses>', 'where every node answers DNS itself, as NodeLocal DNSCache does: 169.254.20.10')
    .option('--kubeconfig <path>', 'ask the cluster of this kubeconfig (without -f; else KUBECONFIG, ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig; with -f: the cluster as well')
    .option('--cluster <name>', 'cluster of the kubeconfig')
    .option('--user <name>', 'user of the kubeconfig')
    .option('--as <name>', 'ask as this user')
    .option('--as-group <name>', 'ask as a member of this group (repeatable)', collect, [])
    .option('--request-timeout <time>', 'longest wait for one answer: 30s, 2m (default: 30s)')
    .option('--source-dir <dir>', 'manifests of live objects: show file and line instead of the field')
    .addOption(
      new Option(
        '--installed <when>',
        "compare with kernels: auto with this node's if a pod of it is an end; require: with a cluster those of both ends",
      )
        .choices(['auto', 'off', 'require'])
        .default('auto'),
    )
    .option(
      '--node <name>',
      'compare with the kernel of this node only; without a cluster the name of the node this is',
    )
    .option('--agent-namespace <name>', 'where the pods of the agent are, to ask other nodes', 'kube-system')
    .option('--agent <host:port>', 'where the agent of this node answers', '127.0.0.1:9478')
    .option('--trace [seconds]', "follow a real packet of this flow through this node's kernel (default: 5 s)")
    .addOption(new Option('--color <when>', 'colour the text').choices(['auto', 'always', 'never']).default('auto'))
    .option('--code <code>', 'print what a code of any command means, and what to do')
    .addHelpText('after', examples)
    .action(async (from: string | undefined, to: string | undefined, options: Omit<ExplainOptions, 'from' | 'to'>) => {
      const { explainCommand } = await import('./commands/explain.ts');
      finish(await explainCommand(context, { from, to, ...options }));
    });
}

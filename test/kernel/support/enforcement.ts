import { NftProcess } from 'nftables-json';
import { compileNode } from '../../../src/compiler/compile.ts';
import { simulateFlow } from '../../../src/compiler/packet-path.ts';
import type { NodeRules } from '../../../src/compiler/packet-path.ts';
import { cleanup } from '../../../src/enforcer/cleanup.ts';
import { Enforcer } from '../../../src/enforcer/enforcer.ts';
import { plan } from '../../../src/enforcer/plan.ts';
import { readDataplane } from '../../../src/enforcer/readback.ts';
import { createDirectory } from '../../../src/explain/ends.ts';
import type { NodeShape, PodBinding } from '../../../src/model/binding.ts';
import { toCidr } from '../../../src/model/cidr.ts';
import { nodeName } from '../../../src/model/names.ts';
import type { PodKey } from '../../../src/model/names.ts';
import type { ClusterSnapshot } from '../../../src/model/snapshot.ts';
import type { RawObject } from '../../oracle/question.ts';
import { decodeWorld, toFlow } from '../../property/support/judges.ts';
import type { ExpectedFlow } from '../../support/flow-line.ts';
import { differences } from './inventory.ts';
import type { LocalPod } from './placement.ts';
import type { Mode, Rig } from './rig.ts';

/** Longer than any run: nothing but the states themselves makes the enforcer write. */
const never = 24 * 3_600_000;

const shapes: Readonly<Record<Mode, NodeShape>> = {
  routed: { routed: ['veth*'], bridges: [] },
  bridged: {
    routed: [],
    bridges: [
      { name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [toCidr('IPv4', 0xc6120000n, 24)] },
    ],
  },
};

/** The product on a rig's node: compiles states of a cluster and keeps the kernel at the newest. */
export class Enforcement implements AsyncDisposable {
  readonly #rig: Rig;
  readonly #node: string;
  readonly #executor: NftProcess;
  readonly #enforcer: Enforcer;
  #snapshot: ClusterSnapshot | undefined;
  #rules: NodeRules | undefined;

  /** `node` is the name of the node in the case. */
  constructor(rig: Rig, node: string) {
    this.#rig = rig;
    this.#node = node;
    this.#executor = new NftProcess({ command: ['nsenter', `--net=/run/netns/${rig.node.netns}`, 'nft'] });
    this.#enforcer = new Enforcer({ executor: this.#executor, auditMs: never, pollMs: never });
    this.#enforcer.start();
  }

  /**
   * Brings a state into the kernel, on top of the one before.
   *
   * @throws Error when it is refused, or when the kernel does not list exactly what was wanted.
   */
  async apply(objects: readonly RawObject[], pods: readonly LocalPod[]): Promise<void> {
    const snapshot = decodeWorld(objects);
    const bindings = pods.map((pod) => this.#bind(snapshot, pod));
    const ruleset = compileNode({ snapshot, bindings, shape: shapes[this.#rig.mode] });
    this.#snapshot = snapshot;
    this.#rules = { ruleset, bindings: new Map(bindings.map((binding) => [binding.pod, binding])) };
    this.#enforcer.setDesired(ruleset);
    await this.#enforcer.idle();
    const { lastApply, problems } = this.#enforcer.status();
    if (lastApply?.ok !== true || problems.length > 0) {
      throw new Error(`not applied: ${JSON.stringify({ lastApply, problems })}`);
    }
    const present = await readDataplane(this.#executor);
    const unlike = differences(present, ruleset);
    if (unlike.length > 0) throw new Error(`the kernel lists something else:\n${unlike.join('\n')}`);
    const left = plan(present, ruleset);
    if (left.length > 0) {
      const commands = left.map(({ kind, transaction }) => ({ kind, commands: transaction.commands }));
      throw new Error(`there would be more to write: ${JSON.stringify(commands)}`);
    }
  }

  /** The chains that a flow meets in the compiled ruleset, by the simulator: where to look when a packet went wrong. */
  path(flow: ExpectedFlow): readonly string[] {
    if (this.#snapshot === undefined || this.#rules === undefined) return [];
    const nodes = new Map([[nodeName(this.#node), this.#rules]]);
    const { outcomes } = simulateFlow(toFlow(createDirectory(this.#snapshot), flow), nodes);
    return outcomes.map((outcome) => JSON.stringify(outcome));
  }

  /** Takes the rules away again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#enforcer.close();
    await cleanup(this.#executor);
  }

  #bind(snapshot: ClusterSnapshot, { key, addresses }: LocalPod): PodBinding {
    const pod = snapshot.pods.get(key as PodKey);
    if (pod === undefined) throw new Error(`${key} was not decoded`);
    const { hostInterface, mac } = this.#rig.pod(key);
    return {
      pod: pod.key,
      uid: pod.uid,
      interface: hostInterface,
      mac,
      addresses,
      attachment: this.#rig.mode === 'routed' ? { kind: 'routed' } : { kind: 'bridged', bridge: 'cni0' },
    };
  }
}

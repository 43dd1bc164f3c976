import { configCodes } from '../agent/config-layers.ts';
import { reasonNames, relatedLint } from '../explain/codes.ts';
import type { InterfaceProblemCode } from '../host/interfaces.ts';
import type { RefusalCode } from '../host/network-plugin.ts';
import { decodeCodes } from '../model/decode/codes.ts';
import { quarantineCode } from '../source/kubernetes/intake.ts';
import { forbiddenCode } from '../source/kubernetes/describe-end.ts';
import { inputCodes } from '../source/manifests/input-diagnostic.ts';

/** Why a node cannot be policed, or only in part; `policy status` prints these. */
export const refusalNames: Readonly<Record<RefusalCode, string>> = {
  'kube-proxy-ipvs': 'kube-proxy uses IPVS',
  'network-plugin-ebpf': 'eBPF forwards packets',
  'network-plugin-ovs': 'Open vSwitch forwards packets',
  'network-plugin-weave': 'pods hang on Weave',
  'network-plugin-without-veth': 'pods have no interface on the node',
  'bridge-netfilter-off': 'bridged packets bypass the rules',
  'bridge-ports-ambiguous': 'ports of bridges cannot be told apart',
  'bridge-uplink': 'an uplink in the pod bridge',
  'routed-pattern-covers-uplink': 'an uplink has the name of a pod',
  'forwarding-off': 'the node forwards nothing',
  'node-unknown': 'no Node has the name of this one',
  'neighbour-targets-unchecked': 'nft cannot tell whom a neighbour advertisement is about',
};

/** Why a pod stays closed; `policy status` prints these. */
export const closedPodNames: Readonly<Record<InterfaceProblemCode, string>> = {
  'pod-without-address': 'the pod has no address yet',
  'pod-interface-missing': 'nothing leads to the pod',
  'pod-interface-unsupported': 'the interface cannot be policed',
  'pod-interface-unconfirmed': 'the interface is not certain yet',
  'pod-interface-contradiction': 'sources contradict each other',
  'pod-interface-shared': 'two pods, one interface',
  'pod-interface-uplink': 'the interface is an uplink',
  'pod-address-shared': 'two pods, one address',
  'pod-mac-unknown': 'the MAC address of a bridged pod is not known',
};

/** Every code that has a page in `docs/codes`, with its short name. */
export const codeNames: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...configCodes,
    ...decodeCodes,
    ...reasonNames,
    ...relatedLint,
    ...inputCodes,
    [quarantineCode]: 'object-set-aside',
    [forbiddenCode]: 'missing-permission',
    ...refusalNames,
    ...closedPodNames,
  }),
);

/** Narrows a text, in any case, to a code that has a page. */
export function findCode(text: string): string | undefined {
  return [...codeNames.keys()].find((code) => code.toLowerCase() === text.toLowerCase());
}

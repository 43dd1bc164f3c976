import { denyAllObject, namespaceObject, podObject } from './objects-for-tests.ts';
import type { Random } from './random.ts';
import { between, pick } from './random.ts';
import type { StoredObject, Truth } from './truth.ts';

const namespaces = ['red', 'green', 'blue'];

/**
 * Changes a small dense world at random: few names, so that they are reused; few addresses, so that they move between
 * pods. Some objects become unreadable for a while.
 */
export class Churn {
  /** Writes so far. */
  mutations = 0;
  readonly #truth: Truth;
  readonly #random: Random;
  readonly #podNames: readonly string[];
  /** Some pods become unreadable, in a way that only JSON can express. */
  poison: boolean;

  constructor(truth: Truth, random: Random, options: { readonly pods?: number; readonly poison?: boolean } = {}) {
    this.poison = options.poison ?? true;
    this.#truth = truth;
    this.#random = random;
    this.#podNames = Array.from({ length: options.pods ?? 30 }, (_, i) => `pod-${i}`);
  }

  /** Writes once. */
  step(): void {
    this.mutations += 1;
    const random = this.#random;
    const dice = random();
    if (dice < 0.06) this.#changeNamespace(pick(random, namespaces));
    else if (dice < 0.16) this.#changePolicy(pick(random, namespaces), `policy-${between(random, 0, 4)}`);
    else this.#changePod(pick(random, namespaces), pick(random, this.#podNames));
  }

  /** Makes every unreadable pod readable, and no more of them. */
  heal(): void {
    this.poison = false;
    for (const { metadata } of this.#truth.list('pods')) {
      if (typeof metadata.labels?.['app'] === 'string') continue;
      this.#truth.patch('pods', metadata.name, metadata.namespace, { metadata: { labels: { app: this.#value() } } });
    }
  }

  #changeNamespace(name: string): void {
    const random = this.#random;
    if (this.#truth.get('namespaces', name) === undefined) this.#truth.create('namespaces', namespaceObject(name));
    else if (random() < 0.2) this.#truth.delete('namespaces', name);
    else this.#truth.patch('namespaces', name, undefined, { metadata: { labels: { team: this.#value() } } });
  }

  #changePolicy(namespace: string, name: string): void {
    const random = this.#random;
    if (this.#truth.get('networkpolicies', name, namespace) === undefined) {
      this.#truth.create('networkpolicies', denyAllObject(name, namespace, { app: this.#value() }));
    } else if (random() < 0.3) this.#truth.delete('networkpolicies', name, namespace);
    else {
      const cidr = random() < 0.2 ? 'nonsense' : `10.${between(random, 0, 9)}.0.0/16`;
      this.#truth.patch('networkpolicies', name, namespace, { spec: { ingress: [{ from: [{ ipBlock: { cidr } }] }] } });
    }
  }

  #changePod(namespace: string, name: string): void {
    const random = this.#random;
    const existing = this.#truth.get('pods', name, namespace);
    if (existing === undefined) {
      this.#create(namespace, name);
      return;
    }
    const dice = random();
    if (dice < 0.15) this.#truth.delete('pods', name, namespace);
    else if (dice < 0.3) {
      this.#truth.delete('pods', name, namespace);
      this.#create(namespace, name);
    } else if (dice < 0.4) this.#handOver(existing);
    else if (dice < 0.5)
      this.#truth.patch('pods', name, namespace, {
        status: { phase: pick(random, ['Running', 'Succeeded', 'Pending']) },
      });
    else if (dice < 0.52)
      this.#truth.patch('pods', name, namespace, { metadata: { labels: { app: this.poison ? 17 : 'seventeen' } } });
    else this.#truth.patch('pods', name, namespace, { metadata: { labels: { app: this.#value() } } });
  }

  #create(namespace: string, name: string): void {
    this.#truth.create('pods', podObject({ name, namespace, labels: { app: this.#value() }, ip: this.#address() }));
  }

  /** The address goes to another pod, which may show it before this one's deletion is seen. */
  #handOver({ metadata, status }: StoredObject): void {
    const heir = pick(this.#random, this.#podNames);
    const ip = (status as { readonly podIP: string }).podIP;
    if (this.#truth.get('pods', heir, metadata.namespace) !== undefined) {
      this.#truth.patch('pods', heir, metadata.namespace, { status: { podIP: ip, podIPs: [{ ip }] } });
    }
    if (heir !== metadata.name) this.#truth.delete('pods', metadata.name, metadata.namespace);
  }

  #value(): string {
    return `v${between(this.#random, 0, 5)}`;
  }

  #address(): string {
    return `10.1.0.${between(this.#random, 1, 50)}`;
  }
}

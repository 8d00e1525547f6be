/** An API server on a temporary store within the process, with controllers or a scheduler as its clients. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Deployment, Node, Pod, PodCondition } from '#types';
import { timestamp } from '../../../src/api/machinery/clock.js';
import { isReason } from '../../../src/api/machinery/status.js';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import type { Resource } from '../../../src/api/resources/define.js';
import { deployments, events, nodes, pods, serviceAccounts } from '../../../src/api/resources/index.js';
import { ApiServer } from '../../../src/apiserver/server.js';
import { RbacAuthorizer } from '../../../src/auth/authorizers/rbac.js';
import { mastersAuthorizer, unionAuthorizer } from '../../../src/auth/authorizers/union.js';
import { Client, Informers } from '../../../src/client/index.js';
import type { Controller, ControllersOptions } from '../../../src/controllers/index.js';
import { openLevelStore, type Store } from '../../../src/store/index.js';
import { FakeClock } from '../../fixtures/fake-clock.js';

export class Harness {
  readonly clock = new FakeClock();
  readonly client: Client;
  readonly options: ControllersOptions;
  readonly #running: { close(): Promise<void> }[] = [];

  private constructor(
    readonly dir: string,
    readonly store: Store,
    readonly api: ApiServer,
    clock: FakeClock,
  ) {
    this.clock = clock;
    const logger = pino({ level: process.env['KEELSON_TEST_LOG'] ?? 'silent' });
    // Controllers have no more rights than in a real cluster.
    const clientFor = (user: string) =>
      new Client(api.transport({ name: user, groups: ['system:authenticated'] }));
    this.client = new Client(api.transport({ name: 'admin', groups: ['system:masters'] }));
    this.options = {
      clientFor,
      informers: new Informers(this.client, { clock, logger }),
      clock,
      logger,
      clusterCidr: '10.244.0.0/16',
      caCert: 'the CA',
    };
  }

  /** `start` is called with the options for each part; informers start afterwards and have synced on return. */
  static async start(...parts: ((options: ControllersOptions) => Controller)[]): Promise<Harness> {
    const clock = new FakeClock();
    const dir = await mkdtemp(join(tmpdir(), 'keelson-test-controllers-'));
    const logger = pino({ level: 'silent' });
    const store = await openLevelStore(join(dir, 'db'), { clock, logger });
    const rbac = new RbacAuthorizer(store);
    const api = new ApiServer({
      store,
      authenticate: async () => ({ name: 'nobody', groups: [] }),
      authorizer: unionAuthorizer([mastersAuthorizer, rbac]),
      serviceCidr: '10.96.0.0/16',
      clusterName: 'test',
      version: '0.0.0',
      clock,
      logger,
    });
    await api.bootstrap();
    const harness = new Harness(dir, store, api, clock);
    harness.#running.push({ close: async () => rbac.close() });
    await harness.createServiceAccount();
    for (const part of parts) harness.#running.push(part(harness.options));
    harness.options.informers.start();
    await harness.options.informers.synced();
    return harness;
  }

  /** Pods of a namespace are refused without it. */
  async createServiceAccount(namespace = 'default'): Promise<void> {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    await this.client.of(serviceAccounts).create(account);
  }

  async close(): Promise<void> {
    for (const part of this.#running) await part.close();
    await this.options.informers.close();
    await this.api.close();
    await this.store.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Waits (up to 5 s of real time) until `check` gives something; the clock moves a little meanwhile. */
  async until<T>(
    what: string,
    check: () => Promise<T | undefined | false> | T | undefined | false,
  ): Promise<T> {
    const deadline = Date.now() + 5000;
    for (;;) {
      const result = await check();
      if (result !== undefined && result !== false) return result;
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
      await sleep(2);
      this.clock.advance(5);
    }
  }

  /** Gives everything that is under way the time to happen. */
  async settle(ms = 60): Promise<void> {
    for (let i = 0; i < ms / 2; i++) {
      await sleep(2);
      this.clock.advance(1);
    }
  }

  async list<T extends KubeObject>(resource: Resource<T>, namespace = 'default'): Promise<T[]> {
    return (await this.client.of(resource).list(resource.namespaced ? { namespace } : {})).items;
  }

  async find<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    try {
      return await this.client.of(resource).get(namespace, name);
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** `reason: message` of all events about objects of a kind. */
  async events(kind: string, namespace = 'default'): Promise<string[]> {
    const all = await this.list(events, namespace);
    return all
      .filter(({ involvedObject }) => involvedObject.kind === kind)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  async setReady(pod: Pod, ready = true): Promise<void> {
    const { namespace = '', name } = pod.metadata;
    const condition: PodCondition = {
      type: 'Ready',
      status: ready ? 'True' : 'False',
      lastTransitionTime: timestamp(this.clock.now()),
    };
    const patch = { status: { phase: 'Running', conditions: [condition] } };
    await this.client.of(pods).patch(namespace, name, patch, { type: 'strategic', subresource: 'status' });
  }

  /** What kubelets do: pods become ready unless `fails`, and end when they are deleted. */
  async kubelet(fails: (pod: Pod) => boolean = () => false, namespace = 'default'): Promise<void> {
    for (const pod of await this.list(pods, namespace)) {
      const { name, deletionTimestamp } = pod.metadata;
      try {
        if (deletionTimestamp !== undefined)
          await this.client.of(pods).delete(namespace, name, { gracePeriodSeconds: 0 });
        else if (pod.status?.phase !== 'Running' && !fails(pod)) await this.setReady(pod);
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
  }

  async createNode(
    name: string,
    change: Partial<Node['spec']> = {},
    labels: Record<string, string> = {},
    allocatable: Record<string, string> = {},
  ): Promise<Node> {
    const client = this.client.of(nodes);
    const now = timestamp(this.clock.now());
    await client.create({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
      spec: { ...change },
    });
    const ready = { type: 'Ready', status: 'True', reason: 'KubeletReady' };
    const status = {
      allocatable: { cpu: '4', memory: '8Gi', pods: '110', ...allocatable },
      conditions: [{ ...ready, lastHeartbeatTime: now, lastTransitionTime: now }],
    };
    await client.patch('', name, { status }, { type: 'merge', subresource: 'status' });
    // Admission taints every new node as not ready; a controller that may not run here would take that back.
    return client.patch('', name, { spec: { taints: change.taints ?? null } }, { type: 'merge' });
  }

  /** Creates a Deployment of one small container. */
  createDeployment(
    name: string,
    replicas: number,
    spec: Partial<Deployment['spec']> = {},
  ): Promise<Deployment> {
    return this.client.of(deployments).create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: 'default' },
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        progressDeadlineSeconds: 600,
        revisionHistoryLimit: 10,
        template: podTemplate(name),
        ...spec,
      },
    });
  }
}

export function podTemplate(app: string, image = 'web:1') {
  return { metadata: { labels: { app } }, spec: podSpec(image) } as unknown as Deployment['spec']['template'];
}

export function podSpec(image = 'web:1'): Pod['spec'] {
  return { containers: [{ name: 'web', image }] } as Pod['spec'];
}

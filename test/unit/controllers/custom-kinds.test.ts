/** Controllers that follow kinds which come and go at run time. */
import assert from 'node:assert/strict';
import { definitionOf } from '../../../src/api/extensions/custom-resource.js';
import type { KubeObject } from '../../../src/api/machinery/types.js';
import type { Resource } from '../../../src/api/resources/define.js';
import {
  configMaps,
  customResourceDefinitions,
  namespaces,
  resourceQuotas,
} from '../../../src/api/resources/index.js';
import { startGarbageCollector } from '../../../src/controllers/garbage-collector/index.js';
import { startNamespaceController } from '../../../src/controllers/namespace.js';
import { startResourceQuotaController } from '../../../src/controllers/resource-quota/index.js';
import { Harness } from './harness.js';

const DEFINITION: any = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

describe('controllers and custom kinds', function () {
  this.timeout(20_000);
  let h: Harness;
  let widgets: Resource;
  const widget = (name: string, metadata: object = {}): KubeObject => ({
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name, namespace: 'default', ...metadata },
  });
  const ref = ({ apiVersion, kind, metadata: { name, uid = '' } }: KubeObject) => ({
    ownerReferences: [{ apiVersion, kind, name, uid }],
  });
  const configMap = (name: string, metadata: object) =>
    h.client.of(configMaps).create({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'default', ...metadata },
    } as any);

  before(async () => {
    h = await Harness.start(startGarbageCollector, startNamespaceController, startResourceQuotaController);
    await h.client.of(customResourceDefinitions).create(DEFINITION);
    widgets = await h.until('the kind to be served', async () => {
      const crd = await h.find(customResourceDefinitions, '', 'widgets.example.com');
      return crd && definitionOf(crd)?.storage;
    });
  });
  after(() => h.close());

  it('deletes what custom objects own, and custom objects that have lost their owner', async () => {
    const owner = await h.client.of(widgets).create(widget('owner'));
    await configMap('owned', ref(owner));
    const map = await configMap('map', {});
    await h.client.of(widgets).create(widget('owned', ref(map)));
    await h.settle();
    await h.client.of(widgets).delete('default', 'owner', { propagationPolicy: 'Background' });
    await h.client.of(configMaps).delete('default', 'map', { propagationPolicy: 'Background' });
    await h.until('the ConfigMap to go', async () => !(await h.find(configMaps, 'default', 'owned')));
    await h.until('the Widget to go', async () => !(await h.find(widgets, 'default', 'owned')));
  });

  it('counts custom objects in quotas', async () => {
    await h.client.of(resourceQuotas).create({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'few', namespace: 'default' },
      spec: { hard: { 'count/widgets.example.com': '2' } },
    } as any);
    const used = (count: string) =>
      h.until(`${count} to be used`, async () => {
        const quota = await h.find(resourceQuotas, 'default', 'few');
        return quota?.status?.used?.['count/widgets.example.com'] === count;
      });
    await used('0');
    await h.client.of(widgets).create(widget('a'));
    await h.client.of(widgets).create(widget('b'));
    await assert.rejects(h.client.of(widgets).create(widget('c')), /exceeded quota: few/);
    await h.client.of(widgets).delete('default', 'a');
    await used('1');
    await h.client.of(resourceQuotas).delete('default', 'few');
  });

  it('deletes custom objects with their namespace, and tells what is left', async () => {
    await h.client.of(namespaces).create({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'other' },
    } as any);
    await h.client
      .of(widgets)
      .create(widget('held', { namespace: 'other', finalizers: ['example.com/hold'] }));
    await h.client.of(namespaces).delete('', 'other');
    const message = await h.until('the condition', async () => {
      const namespace = await h.find(namespaces, '', 'other');
      return namespace?.status?.conditions?.find(
        ({ type, status }) => type === 'NamespaceContentRemaining' && status === 'True',
      )?.message;
    });
    assert.match(message, /widgets\.example\.com has 1 resource instances/);
    await h.client.of(widgets).patch('other', 'held', { metadata: { finalizers: null } }, { type: 'merge' });
    await h.until('the namespace to go', async () => !(await h.find(namespaces, '', 'other')));
  });

  it('deletes what objects owned whose kind has gone', async () => {
    const owner = await h.client.of(widgets).create(widget('last'));
    await configMap('orphan', ref(owner));
    await h.settle();
    await h.client.of(customResourceDefinitions).delete('', 'widgets.example.com');
    await h.until('the definition to go', async () => {
      return !(await h.find(customResourceDefinitions, '', 'widgets.example.com'));
    });
    await h.until('the ConfigMap to go', async () => !(await h.find(configMaps, 'default', 'orphan')));
  });
});

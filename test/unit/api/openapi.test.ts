/** The OpenAPI documents: what kubectl and client libraries look for in them. */
import assert from 'node:assert/strict';
import protobuf from 'protobufjs';
import { resources } from '../../../src/api/resources/index.js';
import { buildOpenApi } from '../../../src/api/schema/openapi/build.js';
import type { Json } from '../../../src/api/schema/openapi/definitions.js';

const docs = {
  types: { 'core/v1.Pod': { description: 'A pod.', fields: { kind: 'Its kind.' } } },
  parameters: { pretty: 'Whether to print pretty.' },
};

describe('OpenAPI', () => {
  const files = buildOpenApi(resources, docs, 'v1.36.0');
  const document = (name: string): Json =>
    JSON.parse(Buffer.from(files[name]?.content as Uint8Array).toString());
  const v2 = document('v2.json');
  const apps = document('v3/apis/apps/v1.json');
  const core = document('v3/api/v1.json');

  /** Every `$ref` of a document. */
  function references(value: unknown, found = new Set<string>()): Set<string> {
    if (typeof value !== 'object' || value === null) return found;
    for (const [name, member] of Object.entries(value))
      if (name === '$ref' && typeof member === 'string') found.add(member);
      else references(member, found);
    return found;
  }

  for (const [name, prefix, at] of [
    ['v2.json', '#/definitions/', (json: Json) => json['definitions']],
    ['v3/api/v1.json', '#/components/schemas/', (json: Json) => json['components'].schemas],
    ['v3/apis/apps/v1.json', '#/components/schemas/', (json: Json) => json['components'].schemas],
  ] as const)
    it(`${name} defines all that it refers to`, () => {
      const json = document(name);
      const defined = at(json);
      for (const reference of references(json)) {
        assert.ok(reference.startsWith(prefix), reference);
        assert.ok(defined[reference.slice(prefix.length)], reference);
      }
    });

  it('has the definitions of all kinds, served or not', () => {
    for (const name of [
      'io.k8s.api.core.v1.Pod',
      'io.k8s.api.apps.v1.StatefulSetList',
      'io.k8s.api.rbac.v1.ClusterRole',
      'io.k8s.api.authentication.v1.TokenRequest',
      'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition',
      'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService',
      'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
    ])
      assert.ok(v2['definitions'][name], name);
  });

  it('says how lists and maps merge', () => {
    const { properties } = v2['definitions']['io.k8s.api.core.v1.PodSpec'];
    const { containers, nodeSelector, volumes } = properties;
    assert.equal(containers['x-kubernetes-patch-merge-key'], 'name');
    assert.equal(containers['x-kubernetes-patch-strategy'], 'merge');
    assert.equal(containers['x-kubernetes-list-type'], 'map');
    assert.deepEqual(containers['x-kubernetes-list-map-keys'], ['name']);
    assert.equal(volumes['x-kubernetes-patch-strategy'], 'merge,retainKeys');
    assert.equal(nodeSelector['x-kubernetes-map-type'], 'atomic');
    const selector = v2['definitions']['io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector'];
    assert.equal(selector['x-kubernetes-map-type'], 'atomic');
  });

  it('describes values as each version of OpenAPI does', () => {
    const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
    const port = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
    assert.equal(v2['definitions'][quantity].type, 'string');
    assert.equal(v2['definitions'][port].format, 'int-or-string');
    const { schemas } = core['components'];
    assert.deepEqual(schemas[quantity].oneOf, [{ type: 'string' }, { type: 'number' }]);
    assert.deepEqual(schemas[port].oneOf, [{ type: 'integer' }, { type: 'string' }]);
    const { metadata, kind } = schemas['io.k8s.api.core.v1.Pod'].properties;
    assert.deepEqual(metadata.allOf, [
      { $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' },
    ]);
    assert.deepEqual(metadata.default, {});
    assert.deepEqual(kind, { type: 'string', description: 'Its kind.' });
    const containerPort = schemas['io.k8s.api.core.v1.ContainerPort'];
    assert.deepEqual(containerPort.required, ['containerPort']);
    assert.deepEqual(containerPort.properties.containerPort, {
      type: 'integer',
      format: 'int32',
      default: 0,
    });
    assert.deepEqual(containerPort.properties.protocol, {
      type: 'string',
      enum: ['SCTP', 'TCP', 'UDP'],
      default: 'TCP',
    });
    assert.equal(
      v2['definitions']['io.k8s.api.core.v1.ContainerPort'].properties.protocol.default,
      undefined,
    );
  });

  it('names the kinds of types, and every group version for what is in all', () => {
    const kinds = 'x-kubernetes-group-version-kind';
    const deployment = apps['components'].schemas['io.k8s.api.apps.v1.Deployment'];
    assert.deepEqual(deployment[kinds], [{ group: 'apps', kind: 'Deployment', version: 'v1' }]);
    const options = v2['definitions']['io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions'];
    assert.ok(options[kinds].some((one: Json) => one['group'] === '' && one['version'] === 'v1'));
    assert.ok(options[kinds].some((one: Json) => one['group'] === 'apps' && one['version'] === 'v1'));
    assert.equal(v2['definitions']['io.k8s.api.core.v1.ObjectReference'][kinds], undefined);
  });

  it('has fieldValidation among the parameters of patch: kubectl looks for it', () => {
    for (const json of [v2, apps]) {
      const { patch } = json['paths']['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'];
      assert.deepEqual(patch['x-kubernetes-group-version-kind'], {
        group: 'apps',
        kind: 'Deployment',
        version: 'v1',
      });
      assert.equal(patch['x-kubernetes-action'], 'patch');
      const names = patch.parameters.map((parameter: Json) => parameter['name']);
      for (const name of ['dryRun', 'fieldManager', 'fieldValidation', 'force'])
        assert.ok(names.includes(name), name);
    }
  });

  it('has every operation once, under an id of its own', () => {
    const ids: string[] = [];
    for (const item of Object.values<Json>(v2['paths']))
      for (const operation of Object.values<Json>(item))
        if (operation['operationId']) ids.push(operation['operationId']);
    assert.equal(new Set(ids).size, ids.length);
    for (const id of [
      'createCoreV1NamespacedPod',
      'listCoreV1PodForAllNamespaces',
      'deleteCoreV1CollectionNamespacedPod',
      'readCoreV1NamespacedPodLog',
      'connectCoreV1GetNamespacedPodExec',
      'connectCoreV1PostNamespacedPodProxyWithPath',
      'createCoreV1NamespacedPodEviction',
      'replaceAppsV1NamespacedDeploymentScale',
      'patchCoreV1NamespaceStatus',
      'watchCoreV1NodeList',
      'listCoordinationV1NamespacedLease',
    ])
      assert.ok(ids.includes(id), id);
  });

  it('has the v2 document in protobuf, as gnostic defines it', () => {
    const gnostic = protobuf
      .parse(`
      syntax = "proto3";
      message Any { string yaml = 2; }
      message NamedAny { string name = 1; Any value = 2; }
      message TypeItem { repeated string value = 1; }
      message ItemsItem { repeated Schema schema = 1; }
      message AdditionalPropertiesItem { Schema schema = 1; }
      message NamedSchema { string name = 1; Schema value = 2; }
      message Properties { repeated NamedSchema additional = 1; }
      message Schema {
        string ref = 1; string format = 2; string description = 4; repeated string required = 19;
        repeated Any enum = 20; AdditionalPropertiesItem additional = 21; TypeItem type = 22; ItemsItem items = 23;
        Properties properties = 25; repeated NamedAny extension = 31;
      }
      message Query { string in = 2; string name = 4; string type = 6; }
      message Body { string name = 2; bool required = 4; Schema schema = 5; }
      message NonBody { Query query = 3; }
      message Parameter { Body body = 1; NonBody nonBody = 2; }
      message ParametersItem { Parameter parameter = 1; }
      message Operation {
        string id = 5; repeated string consumes = 7; repeated ParametersItem parameters = 8; repeated NamedAny extension = 13;
      }
      message PathItem { Operation patch = 8; }
      message NamedPathItem { string name = 1; PathItem value = 2; }
      message Paths { repeated NamedPathItem path = 2; }
      message Info { string title = 1; string version = 2; }
      message Document { string swagger = 1; Info info = 2; Paths paths = 8; Properties definitions = 9; }
    `)
      .root.lookupType('Document');
    const json = gnostic.toObject(gnostic.decode(files['v2.pb']?.content as Uint8Array)) as any;
    assert.equal(json.swagger, '2.0');
    assert.deepEqual(json.info, { title: 'Kubernetes', version: 'v1.36.0' });
    assert.equal(json.definitions.additional.length, Object.keys(v2['definitions']).length);
    assert.equal(json.paths.path.length, Object.keys(v2['paths']).length);
    const podSpec = json.definitions.additional.find(
      (one: any) => one.name === 'io.k8s.api.core.v1.PodSpec',
    ).value;
    const containers = podSpec.properties.additional.find((one: any) => one.name === 'containers').value;
    assert.deepEqual(containers.type.value, ['array']);
    assert.equal(containers.items.schema[0].ref, '#/definitions/io.k8s.api.core.v1.Container');
    const strategy = containers.extension.find((one: any) => one.name === 'x-kubernetes-patch-strategy');
    assert.equal(strategy.value.yaml, '"merge"');
    const { patch } = json.paths.path.find((one: any) => one.name === '/api/v1/nodes/{name}').value;
    assert.equal(patch.id, 'patchCoreV1Node');
    assert.equal(
      patch.parameters[0].parameter.body.schema.ref,
      '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Patch',
    );
    assert.equal(patch.parameters[3].parameter.nonBody.query.name, 'fieldValidation');
  });
});

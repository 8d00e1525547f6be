/** Custom resources with the real kubectl. */
import assert from 'node:assert/strict';
import { startKubectl, startServer, type TestServer } from './server.js';

const DEFINITION = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    - {name: Image, type: string, jsonPath: .spec.image, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What to run, and when.
            required: [cronSpec]
            properties:
              cronSpec: {type: string, pattern: '^[*/0-9 ]+$', description: The schedule.}
              image: {type: string}
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
              color: {type: string, enum: [red, blue]}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, nullable: true}
              extra: {type: object, x-kubernetes-preserve-unknown-fields: true}
              env:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, value: {type: string, default: x}}
          status:
            type: object
            properties: {replicas: {type: integer}, selector: {type: string}}
`;

const tab = (name: string, spec: string) => `
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: ${name}}
spec: {cronSpec: "* * * * */5", ${spec}}
`;

const simple = (plural: string, kind: string, rest = '') => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ${plural}.other.example.com}
spec:
  group: other.example.com
  scope: Cluster
  names: {plural: ${plural}, kind: ${kind}${rest}}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`;

describe('custom resources with kubectl', function () {
  this.timeout(60_000);
  let s: TestServer;
  const ok = async (args: string, input?: string) => {
    const { stdout, stderr, code } = await s.kubectl(args, input);
    assert.equal(code, 0, `kubectl ${args}: ${stderr}`);
    return stdout;
  };
  const fails = async (args: string, message: RegExp, input?: string) => {
    const { stderr, code } = await s.kubectl(args, input);
    assert.notEqual(code, 0, `kubectl ${args} succeeded`);
    assert.match(stderr, message);
  };
  const get = async (what: string) => JSON.parse(await ok(`get ${what} -o json`));
  const patch = (name: string, body: string) => `patch crontab ${name} --type=merge -p ${body}`;
  const define = async (manifest: string, name: string) => {
    await ok('apply -f -', manifest);
    await ok(`wait --for=condition=Established crd/${name} --timeout=5s`);
  };

  before(async () => {
    s = await startServer();
    await ok('create serviceaccount default');
    await define(DEFINITION, 'crontabs.stable.example.com');
  });
  after(() => s.close());

  it('completes the definition and accepts its names', async () => {
    const { spec, status } = await get('crd crontabs.stable.example.com');
    assert.deepEqual([spec.names.singular, spec.names.listKind], ['crontab', 'CronTabList']);
    assert.deepEqual(spec.conversion, { strategy: 'None' });
    assert.deepEqual(status.storedVersions, ['v1']);
    assert.deepEqual(status.acceptedNames, spec.names);
    assert.deepEqual(
      status.conditions.map((c: any) => `${c.type} ${c.status} ${c.reason}`),
      ['NamesAccepted True NoConflicts', 'Established True InitialNamesAccepted'],
    );
  });

  it('is there in discovery and OpenAPI as soon as it is established', async () => {
    assert.match(
      await ok('api-resources --no-headers'),
      /^crontabs +ct +stable.example.com\/v1 +true +CronTab$/m,
    );
    assert.match(
      await ok('explain ct.spec'),
      /What to run, and when\.[\s\S]*cronSpec\t<string> -required-\n +The schedule\./,
    );
    const { json } = await s.http('GET', '/apis/stable.example.com/v1');
    assert.deepEqual(
      json.resources.map((r: any) => r.name),
      ['crontabs', 'crontabs/scale', 'crontabs/status'],
    );
    const v2 = (await s.http('GET', '/openapi/v2')).json;
    assert.ok(v2.definitions['com.example.stable.v1.CronTab'].properties.spec);
    assert.ok(v2.paths['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}/scale']);
    const proto = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
    const v2pb = await s.http('GET', '/openapi/v2', { headers: { accept: proto } });
    assert.match(v2pb.text, /com\.example\.stable\.v1\.CronTabList/);
  });

  it('creates with defaults, prints columns, applies from the client and from the server', async () => {
    await ok('apply -f -', tab('a', 'image: one, env: [{name: q}]'));
    const first = await get('ct a');
    assert.deepEqual([first.spec.replicas, first.spec.env], [1, [{ name: 'q', value: 'x' }]]);
    assert.equal(await ok('get ct a'), 'NAME   SPEC          REPLICAS\na      * * * * */5   1\n');
    assert.match(await ok('get ct a -o wide'), /IMAGE\na .* one\n$/);
    await ok('apply -f -', tab('a', 'image: two'));
    const second = await get('ct a');
    assert.deepEqual([second.spec.image, second.metadata.generation, second.spec.env], ['two', 2, undefined]);
    await ok('apply --server-side --force-conflicts -f -', tab('a', 'image: three, env: [{name: a}]'));
    await ok('apply --server-side --field-manager=other -f -', tab('a', 'env: [{name: b, value: "2"}]'));
    assert.deepEqual((await get('ct a')).spec.env, [
      { name: 'a', value: 'x' },
      { name: 'b', value: '2' },
    ]);
    assert.match(await ok('get all'), /^crontab\.stable\.example\.com\/a /m);
  });

  it('validates in the words of Kubernetes', async () => {
    await fails(
      patch('a', '{"spec":{"replicas":11}}'),
      /spec\.replicas: Invalid value: 11: spec\.replicas in body should be less than or equal to 10/,
    );
    await fails(
      patch('a', '{"spec":{"replicas":"x"}}'),
      /spec\.replicas: Invalid value: "string": spec\.replicas in body must be of type integer: "string"/,
    );
    await fails(
      patch('a', '{"spec":{"color":"green"}}'),
      /spec\.color: Unsupported value: "green": supported values: "red", "blue"/,
    );
    await fails(
      patch('a', '{"spec":{"cronSpec":"x"}}'),
      /spec\.cronSpec in body should match '\^\[\*\/0-9 \]\+\$'/,
    );
    await fails(patch('a', '{"spec":{"cronSpec":null}}'), /spec\.cronSpec: Required value/);
    await fails(
      patch('a', '{"spec":{"env":[{"name":"a"},{"name":"a"}]}}'),
      /spec\.env\[1\]: Duplicate value: \{"name":"a"\}/,
    );
    await fails(
      patch('a', '{"spec":{"port":1.5}}'),
      /spec\.port in body must be of type integer,string: "number"/,
    );
  });

  it('prunes what the schema does not know, warns of it or refuses it', async () => {
    const { stderr } = await s.kubectl(
      patch('a', '{"spec":{"foo":1,"note":null,"extra":{"any":{"thing":1}}}}'),
    );
    assert.match(stderr, /Warning: unknown field "spec\.foo"/);
    const { spec } = await get('ct a');
    assert.deepEqual([spec.foo, spec.note, spec.extra], [undefined, undefined, { any: { thing: 1 } }]);
    await fails('create -f -', /strict decoding error: unknown field "spec\.foo"/, tab('b', 'foo: 1'));
    await ok('create --validate=false -f -', tab('b', 'foo: 1, note: null, color: red'));
    assert.deepEqual((await get('ct b')).spec, {
      color: 'red',
      cronSpec: '* * * * */5',
      note: null,
      replicas: 1,
    });
    await fails('apply --server-side -f -', /\.spec\.foo: field not declared in schema/, tab('b', 'foo: 1'));
  });

  it('scales, keeps status apart, and counts generations of the rest', async () => {
    const { generation } = (await get('ct b')).metadata;
    await ok('scale --replicas=5 ct/b');
    await ok(
      'patch ct b --subresource=status --type=merge -p {"status":{"replicas":4,"selector":"a=b"},"spec":{"replicas":9}}',
    );
    await ok('patch ct b --type=merge -p {"status":{"replicas":7}}');
    const { metadata, spec, status } = await get('ct b');
    assert.deepEqual([metadata.generation, spec.replicas, status.replicas], [generation + 1, 5, 4]);
    const { json } = await s.http('GET', '/apis/stable.example.com/v1/namespaces/default/crontabs/b/scale');
    assert.deepEqual([json.spec, json.status], [{ replicas: 5 }, { replicas: 4, selector: 'a=b' }]);
  });

  it('selects by the fields that are declared', async () => {
    assert.equal(
      await ok('get ct -o name --field-selector spec.color=red'),
      'crontab.stable.example.com/b\n',
    );
    await fails('get ct --field-selector spec.image=x', /field label not supported: spec\.image/);
  });

  it('takes no strategic merge patch', async () => {
    await fails('patch ct a -p {"spec":{}}', /application\/strategic-merge-patch\+json is not supported/);
  });

  it('refuses definitions that are no good', async () => {
    await fails(
      'apply -f -',
      /metadata\.name: Invalid value: "xs\.other\.example\.com": must be spec\.names\.plural\+"\."\+spec\.group/,
      simple('xs', 'X').replace('plural: xs', 'plural: ys'),
    );
    await fails(
      'apply -f -',
      /spec\.validation\.openAPIV3Schema\.type: Required value: must not be empty at the root/,
      simple('xs', 'X').replace('type: object, x-kubernetes-preserve-unknown-fields: true', 'description: x'),
    );
    await fails(
      'apply -f -',
      /protected groups must have approval annotation/,
      simple('xs', 'X').replaceAll('other.example.com', 'example.k8s.io'),
    );
    await fails(
      'apply -f -',
      /must have exactly one version marked as storage version/,
      simple('xs', 'X').replace('storage: true', 'storage: false'),
    );
    await fails(
      'apply -f -',
      /spec\.scope: Invalid value: "Cluster": field is immutable/,
      DEFINITION.replace('scope: Namespaced', 'scope: Cluster'),
    );
  });

  it('accepts a name once', async () => {
    await define(simple('firsts', 'First', ', shortNames: [one]'), 'firsts.other.example.com');
    await ok('apply -f -', simple('seconds', 'Second', ', shortNames: [one]'));
    await ok('wait --for=condition=NamesAccepted=false crd/seconds.other.example.com --timeout=5s');
    const { status } = await get('crd seconds.other.example.com');
    assert.deepEqual(
      status.conditions.map((c: any) => `${c.type} ${c.status} ${c.reason}: ${c.message}`),
      [
        'NamesAccepted False ShortNamesConflict: "one" is already in use',
        'Established False NotAccepted: not all names are accepted',
      ],
    );
    await ok('delete crd firsts.other.example.com --timeout=10s');
    await ok('wait --for=condition=Established crd/seconds.other.example.com --timeout=5s');
    await ok(
      'create -f -',
      'apiVersion: other.example.com/v1\nkind: Second\nmetadata: {name: x}\nany: {thing: [1, {a: 2}]}\n',
    );
    assert.deepEqual((await get('one x')).any, { thing: [1, { a: 2 }] });
  });

  it('ends watches and deletes the objects with their definition', async () => {
    const watch = startKubectl('get ct --watch -o name', s.dir);
    let seen = '';
    watch.stdout.on('data', (chunk) => (seen += chunk));
    await new Promise<void>((resolve) => watch.stdout.once('data', () => resolve()));
    const ended = new Promise((resolve) => watch.once('exit', resolve));
    const events = s.watch('/apis/stable.example.com/v1/crontabs?watch=1', 'application/json', () => false);
    await ok(patch('b', '{"metadata":{"finalizers":["example.com/hold"]}}'));
    await ok('delete crd crontabs.stable.example.com --wait=false');
    await ok('wait --for=delete ct/a --timeout=5s');
    const { status } = await get('crd crontabs.stable.example.com');
    assert.equal(status.conditions.find((c: any) => c.type === 'Terminating').status, 'True');
    await fails('create -f -', /not allowed while custom resource definition is terminating/, tab('c', ''));
    await ok(patch('b', '{"metadata":{"finalizers":null}}'));
    await ok('wait --for=delete crd/crontabs.stable.example.com --timeout=5s');
    await ended;
    assert.match(seen, /crontab\.stable\.example\.com\/a/);
    const gone = (await events).bytes.toString().match(/"type":"DELETED".*?"name":"\w+"/g) ?? [];
    assert.deepEqual(
      gone.map((event) => event.slice(-3)).filter((name) => /[ab]"$/.test(name)),
      ['"a"', '"b"'],
    );
    await fails(
      'get crontabs.v1.stable.example.com',
      /doesn't have a resource type|could not find the requested resource/,
    );
    assert.equal((await s.http('GET', '/apis/stable.example.com/v1')).code, 404);
  });
});

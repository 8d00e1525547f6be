import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { requestInfo } from '../../../src/apiserver/filters/request-info.js';
import { bareType, negotiate } from '../../../src/apiserver/http/media-types.js';
import { compareVersions } from '../../../src/apiserver/nonresource/discovery.js';
import { chooseContainer } from '../../../src/apiserver/subresources/containers.js';
import { logRequest } from '../../../src/apiserver/subresources/log.js';
import { chooseProtocol, SESSION_PROTOCOLS } from '../../../src/streams/channels.js';
import { DICTIONARY, HeaderReader, HeaderWriter } from '../../../src/streams/spdy-headers.js';

const query = (text: string) => new URLSearchParams(text);

describe('apiserver: what a request is about', () => {
  for (const [method, path, search, expected] of [
    ['GET', '/api/v1/pods', '', 'list  pods  '],
    ['GET', '/api/v1/namespaces/a/pods', '', 'list a pods  '],
    ['GET', '/api/v1/namespaces/a/pods', 'watch=true', 'watch a pods  '],
    ['GET', '/api/v1/namespaces/a/pods', 'watch=1&fieldSelector=metadata.name%3Dx', 'watch a pods x '],
    ['GET', '/api/v1/namespaces/a/pods/x', '', 'get a pods x '],
    ['GET', '/api/v1/namespaces/a/pods/x/log', '', 'get a pods x log'],
    ['POST', '/api/v1/namespaces/a/pods/x/exec', '', 'create a pods x exec'],
    ['DELETE', '/api/v1/namespaces/a/pods', '', 'deletecollection a pods  '],
    ['GET', '/api/v1/namespaces/a', '', 'get a namespaces a '],
    ['PUT', '/api/v1/namespaces/a/finalize', '', 'update a namespaces a finalize'],
    ['PATCH', '/apis/apps/v1/namespaces/a/deployments/d/scale', '', 'patch a deployments d scale'],
    ['GET', '/api/v1/watch/pods', '', 'watch  pods  '],
    ['GET', '/apis/apps/v1/watch/namespaces/a/deployments/d', '', 'watch a deployments d '],
    ['GET', '/apis/apps/v1', '', undefined],
    ['GET', '/api/v1', '', undefined],
    ['GET', '/livez', '', undefined],
  ] as const) {
    it(`${method} ${path}?${search}`, () => {
      const info = requestInfo(method, path, query(search));
      const text = `${info.verb} ${info.namespace} ${info.resource} ${info.name} ${info.subresource}`;
      assert.equal(info.isResource ? text : undefined, expected);
    });
  }

  it('has selectors where they narrow what is asked for', () => {
    const narrowed = ['GET', 'POST', 'PUT', 'DELETE'].filter(
      (method) => requestInfo(method, '/api/v1/pods', query('labelSelector=a')).labelSelector === 'a',
    );
    assert.deepEqual(narrowed, ['GET', 'DELETE']);
    assert.equal(requestInfo('GET', '/api/v1/pods/x', query('labelSelector=a')).labelSelector, undefined);
  });
});

describe('apiserver: content negotiation', () => {
  const forms = ['object', 'table', 'partial'] as const;
  const offer = { forms, protobuf: true };
  const PROTOBUF = 'application/vnd.kubernetes.protobuf';
  for (const [accept, expected] of [
    [undefined, 'json object'],
    ['*/*', 'json object'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'json table'],
    ['application/json;as=Unknown;v=v1;g=meta.k8s.io,application/yaml', 'yaml object'],
    [`${PROTOBUF},application/json`, 'protobuf object'],
    [`${PROTOBUF};as=Table;g=meta.k8s.io;v=v1,application/json`, 'json object'],
    [`${PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json`, 'protobuf partial'],
    ['application/yaml;q=0.5, application/json;q=0.9', 'json object'],
    ['application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', 'json partial'],
  ] as const) {
    it(`${accept}`, () => {
      const { format, form } = negotiate(accept, offer);
      assert.equal(`${format} ${form}`, expected);
    });
  }

  it('refuses what is not offered', () => {
    assert.throws(
      () => negotiate(PROTOBUF, { forms, protobuf: false }),
      (error: any) => {
        assert.equal(error.code, 406);
        assert.equal(
          error.message,
          'only the following media types are accepted: application/json, application/yaml',
        );
        return true;
      },
    );
    assert.throws(() => negotiate('text/plain', offer), {
      code: 406,
      message: `only the following media types are accepted: application/json, application/yaml, ${PROTOBUF}`,
    });
    assert.equal(bareType('Application/JSON; charset=utf-8'), 'application/json');
  });
});

describe('apiserver: choice of container and log options', () => {
  const of = (names: string[], inits: string[] = []) =>
    ({
      metadata: { name: 'p', namespace: 'n', uid: 'u' },
      spec: { containers: names.map((name) => ({ name })), initContainers: inits.map((name) => ({ name })) },
    }) as any;

  it('takes the only one, or asks', () => {
    assert.equal(chooseContainer(of(['a']), ''), 'a');
    assert.equal(chooseContainer(of(['a'], ['i']), 'i'), 'i');
    assert.throws(() => chooseContainer(of(['a', 'b']), ''), {
      message: 'a container name must be specified for pod p, choose one of: [a b]',
    });
    assert.throws(() => chooseContainer(of(['a', 'b'], ['i']), ''), {
      message:
        'a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]',
    });
    assert.throws(() => chooseContainer(of(['a']), 'z'), { message: 'container z is not valid for pod p' });
  });

  it('passes log options on and checks them', () => {
    assert.deepEqual(logRequest(query('follow=true&tailLines=0&timestamps'), of(['a'])), {
      namespace: 'n',
      pod: 'p',
      uid: 'u',
      container: 'a',
      follow: true,
      previous: false,
      timestamps: true,
      tailLines: 0,
    });
    for (const bad of [
      'tailLines=-1',
      'limitBytes=0',
      'sinceSeconds=0',
      'sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z',
      'sinceTime=x',
      'stream=x',
    ])
      assert.throws(
        () => logRequest(query(bad), of(['a'])),
        (error: any) => error.code === 422,
        bad,
      );
    assert.throws(
      () => logRequest(query('tailLines=x'), of(['a'])),
      (error: any) => error.code === 400,
    );
  });
});

describe('apiserver: small things', () => {
  it('orders versions by stability', () => {
    const sorted = ['v1alpha1', 'v1', 'v2beta1', 'v2', 'v1beta2', 'v10'].sort(compareVersions);
    assert.deepEqual(sorted, ['v10', 'v2', 'v1', 'v2beta1', 'v1beta2', 'v1alpha1']);
  });

  it('chooses the first channel protocol that the client asks for and it knows', () => {
    assert.equal(
      chooseProtocol(['v9', 'v4.channel.k8s.io', 'v5.channel.k8s.io'], SESSION_PROTOCOLS)?.name,
      'v4.channel.k8s.io',
    );
    assert.equal(chooseProtocol([], SESSION_PROTOCOLS)?.name, '');
    assert.equal(chooseProtocol(['v9'], SESSION_PROTOCOLS), undefined);
  });

  it('has the dictionary of SPDY, byte by byte', async () => {
    assert.equal(
      createHash('sha256').update(DICTIONARY).digest('hex'),
      '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
    );
    const [reader, writer] = [new HeaderReader(), new HeaderWriter()];
    assert.deepEqual(await reader.read(await writer.empty()), {});
    assert.deepEqual(await reader.read(await writer.empty()), {});
    await assert.rejects(reader.read(Buffer.from('garbage')));
    reader.close();
    writer.close();
  });
});

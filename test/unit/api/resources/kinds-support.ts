/** Objects of the smaller kinds, for their tests. */
import type { KubeObject } from '../../../../src/api/machinery/types.js';
import type { Resource } from '../../../../src/api/resources/define.js';
import { object } from './support.js';

export const of = (resource: unknown) => resource as Resource<KubeObject>;
export const make = (resource: unknown, fields: object, metadata = {}) =>
  object(of(resource), fields as Record<string, unknown>, metadata);

/** For the name `x`, with an ECDSA key. */
export const CSR = Buffer.from(
  `-----BEGIN CERTIFICATE REQUEST-----
MIHFMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BC6h9Lli85CETpP4LNbwa3pRvHdcSBt9/Gx8cz21GgqkcZDDGVp+UsTZAE4rimFD
Cl4ppnP85MtushJzGS6BIZ6gADAKBggqhkjOPQQDAgNHADBEAiB3BP0iW4VaqJij
39sGXs/hYfW/WkRQd2zhCZaojZUS6gIgZAsS7A9h4JTnq7Hd7ZwqBTmqSNoExozo
FxrOyGYQm18=
-----END CERTIFICATE REQUEST-----
`,
).toString('base64');
export const RBAC = 'rbac.authorization.k8s.io';
export const backend = { service: { name: 'web', port: { number: 80 } } };
export const ingress = (path: object) => ({ spec: { rules: [{ http: { paths: [{ backend, ...path }] } }] } });
export const claim = (spec: object = {}) => ({
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
});
export const volume = (spec: object = {}) => ({
  spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/d' }, ...spec },
});
export const webhook = (fields: object = {}) => ({
  webhooks: [
    {
      name: 'a.example.com',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      clientConfig: { url: 'https://example.com/x' },
      ...fields,
    },
  ],
});
export const policy = (spec: object) => ({ spec: { podSelector: {}, ...spec } });

export const regarding = { kind: 'Pod', namespace: 'default', name: 'p' };
export const event = (fields: object = {}) => ({
  regarding,
  eventTime: '2026-05-01T12:00:00.000000Z',
  reportingController: 'example.com/c',
  reportingInstance: 'c-1',
  action: 'Act',
  reason: 'Acted',
  type: 'Normal',
  ...fields,
});

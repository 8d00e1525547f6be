/**
 * TokenCleaner: deletes bootstrap tokens that have expired; BootstrapSigner: signs the ConfigMap `cluster-info` with each
 * that may sign, so that who knows a token can trust what it says without knowing the CA.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
import { createHmac } from 'node:crypto';
import type { ConfigMap, Secret } from '#types';
import { isReason } from '../api/machinery/status.js';
import { objectKey } from '../api/machinery/types.js';
import { configMaps, secrets } from '../api/resources/index.js';
import { type Controller, type ControllersOptions, contextOf, WorkLoop } from './context.js';

const TYPE = 'bootstrap.kubernetes.io/token';
const NAMESPACE = 'kube-system';
const CLUSTER_INFO = 'kube-public/cluster-info';
const SIGNATURE = 'jws-kubeconfig-';

const isToken = ({ type, metadata }: Secret): boolean => type === TYPE && metadata.namespace === NAMESPACE;
const textOf = ({ data }: Secret, key: string): string => Buffer.from(data?.[key] ?? '', 'base64').toString();

/** When (ms) a token ends; undefined: never. */
function endOf(secret: Secret): number | undefined {
  const text = textOf(secret, 'expiration');
  if (text === '') return undefined;
  const end = Date.parse(text);
  // What can't be read counts as over, as it does for who authenticates by it.
  return Number.isNaN(end) ? 0 : end;
}

export function startTokenCleaner(options: ControllersOptions): Controller {
  const context = contextOf(options, 'token-cleaner');
  const all = context.informers.of(secrets);

  const reconcile = async (key: string): Promise<void> => {
    const secret = all.get(key);
    const end = secret && isToken(secret) ? endOf(secret) : undefined;
    if (!secret || end === undefined) return;
    const left = end - context.clock.now();
    if (left > 0) return loop.queue.addAfter(key, left);
    const { namespace = '', name, uid } = secret.metadata;
    try {
      await context.client.of(secrets).delete(namespace, name, { preconditions: { uid: uid! } });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced], reconcile, 1);
  const seen = (secret: Secret) => {
    if (isToken(secret)) loop.queue.add(objectKey(secret));
  };
  loop.onClose(all.on({ added: seen, updated: (_, secret) => seen(secret) }));
  return loop;
}

export function startBootstrapSigner(options: ControllersOptions): Controller {
  const context = contextOf(options, 'bootstrap-signer');
  const all = context.informers.of(secrets);
  const maps = context.informers.of(configMaps);

  const reconcile = async (): Promise<void> => {
    const info = maps.get(CLUSTER_INFO);
    const content = info?.data?.['kubeconfig'];
    if (!info || content === undefined) return;
    const data = Object.fromEntries(Object.entries(info.data!).filter(([key]) => !key.startsWith(SIGNATURE)));
    for (const secret of all.list()) {
      if (!isToken(secret) || textOf(secret, 'usage-bootstrap-signing') !== 'true') continue;
      const end = endOf(secret);
      if (end !== undefined && end <= context.clock.now()) continue;
      const id = textOf(secret, 'token-id');
      if (id !== '') data[SIGNATURE + id] = detachedSignature(content, id, textOf(secret, 'token-secret'));
    }
    const keys = new Set([...Object.keys(data), ...Object.keys(info.data!)]);
    if ([...keys].every((key) => data[key] === info.data![key])) return;
    try {
      await context.client.of(configMaps).update({ ...info, data });
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error;
    }
  };

  const loop = new WorkLoop(context, [all.synced, maps.synced], reconcile, 1);
  const ofToken = (secret: Secret) => {
    if (isToken(secret)) loop.queue.add(CLUSTER_INFO);
  };
  const ofMap = (map: ConfigMap) => {
    if (objectKey(map) === CLUSTER_INFO) loop.queue.add(CLUSTER_INFO);
  };
  loop.onClose(
    all.on({ added: ofToken, updated: (_, secret) => ofToken(secret), deleted: ofToken }),
    maps.on({ added: ofMap, updated: (_, map) => ofMap(map) }),
  );
  return loop;
}

/** A JWS without its payload: HS256 with the token's secret, its id as key id. */
export function detachedSignature(content: string, id: string, secret: string): string {
  const encoded = (text: string) => Buffer.from(text).toString('base64url');
  const header = encoded(JSON.stringify({ alg: 'HS256', kid: id }));
  const signature = createHmac('sha256', secret)
    .update(`${header}.${encoded(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}

/** The token that agents join with: a Secret of the form that kubeadm's are. */
import { randomInt } from 'node:crypto';
import { isReason } from '../api/machinery/status.js';
import { secrets } from '../api/resources/core/secret.js';
import type { Client } from '../client/client.js';

const NAME = 'bootstrap-token-';
const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const random = (length: number) =>
  Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (value: string | undefined) => Buffer.from(value ?? '', 'base64').toString();

/**
 * The join token (`<id>.<secret>`) that `data/join.json` told before, made again if its Secret is gone; a new one
 * when there was none.
 * @see https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
export async function ensureBootstrapToken(client: Client, known: string | undefined): Promise<string> {
  const [id, secret] = known?.split('.') ?? [random(6), random(16)];
  try {
    const created = await client.of(secrets).create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: NAME + id, namespace: 'kube-system' },
      type: 'bootstrap.kubernetes.io/token',
      data: {
        'token-id': base64(id!),
        'token-secret': base64(secret!),
        description: base64('Made by keelson server: joins nodes to this cluster.'),
        'usage-bootstrap-authentication': base64('true'),
        'usage-bootstrap-signing': base64('true'),
        'auth-extra-groups': base64('system:bootstrappers:keelson:node'),
      },
    } as never);
    return `${text(created.data?.['token-id'])}.${text(created.data?.['token-secret'])}`;
  } catch (error) {
    if (isReason(error, 'AlreadyExists')) return `${id}.${secret}`;
    throw error;
  }
}

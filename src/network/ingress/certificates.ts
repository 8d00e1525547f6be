/** Certificates of Ingresses by server name (SNI). */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Ingress, Secret } from '#types';
import { wildcardOf } from './paths.js';

export interface CertificatesOptions {
  /** By `namespace/name`. */
  secret(key: string): Secret | undefined;
  /** A certificate that can't be used, or is there no more: told once each time that this changes. */
  unusable(ingress: Ingress, why: string): void;
}

/** PEM. */
export interface KeyPair {
  cert: string | Buffer;
  key: string | Buffer;
}

interface Parsed {
  version: string;
  context?: SecureContext;
  pem?: KeyPair;
  error?: string;
}

const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');

export class Certificates {
  readonly #options: CertificatesOptions;
  /** By `namespace/name` of the Secret. */
  readonly #parsed = new Map<string, Parsed>();
  /** What was told of Ingress and Secret. */
  readonly #told = new Map<string, string>();
  /** By host or wildcard; '' for what is no host's own. */
  #contexts = new Map<string, SecureContext>();
  #secrets = new Set<string>();
  #general: KeyPair | undefined;
  #fallback: Promise<KeyPair & { context: SecureContext }> | undefined;

  constructor(options: CertificatesOptions) {
    this.#options = options;
  }

  /** Whether the Secret is one that an Ingress names. */
  uses(secret: string): boolean {
    return this.#secrets.has(secret);
  }

  /** Sets what is served from now on; `ingresses` in the order in which they count. */
  update(ingresses: Ingress[]): void {
    const contexts = new Map<string, SecureContext>();
    let general: KeyPair | undefined;
    const secrets = new Set<string>();
    const told = new Set<string>();
    for (const ingress of ingresses)
      for (const { hosts = [], secretName } of ingress.spec.tls ?? []) {
        if (!secretName) continue;
        const key = `${ingress.metadata.namespace}/${secretName}`;
        secrets.add(key);
        const { context, pem, error } = this.#parse(key);
        const about = `${ingress.metadata.namespace}/${ingress.metadata.name} ${secretName}`;
        if (error) {
          told.add(about);
          if (this.#told.get(about) !== error) this.#options.unusable(ingress, error);
          this.#told.set(about, error);
        }
        if (!context) continue;
        const names = hosts.length > 0 ? hosts : (ingress.spec.rules ?? []).map(({ host = '' }) => host);
        if (names.includes('')) general ??= pem;
        for (const name of names)
          if (!contexts.has(name.toLowerCase())) contexts.set(name.toLowerCase(), context);
      }
    for (const about of this.#told.keys()) if (!told.has(about)) this.#told.delete(about);
    for (const key of this.#parsed.keys()) if (!secrets.has(key)) this.#parsed.delete(key);
    [this.#contexts, this.#secrets, this.#general] = [contexts, secrets, general];
  }

  /** For a handshake; the self-made certificate where nothing fits. */
  async context(serverName: string | undefined): Promise<SecureContext> {
    const name = serverName?.toLowerCase() ?? '';
    const found =
      this.#contexts.get(name) ?? this.#contexts.get(wildcardOf(name) ?? '') ?? this.#contexts.get('');
    if (found) return found;
    return (await this.#selfSigned()).context;
  }

  /** For handshakes without a server name: an Ingress's own for no host in particular, or the self-made one. */
  async general(): Promise<KeyPair> {
    return this.#general ?? (await this.#selfSigned());
  }

  #selfSigned() {
    this.#fallback ??= import('./self-signed.js').then(async ({ selfSigned }) => {
      const pem = await selfSigned();
      return { ...pem, context: createSecureContext(pem) };
    });
    return this.#fallback;
  }

  #parse(key: string): Parsed {
    const secret = this.#options.secret(key);
    const version = secret ? `${secret.metadata.uid} ${secret.metadata.resourceVersion}` : '';
    const known = this.#parsed.get(key);
    if (known?.version === version) return known;
    const parsed = { version, ...contextOf(key, secret) };
    this.#parsed.set(key, parsed);
    return parsed;
  }
}

function contextOf(key: string, secret: Secret | undefined): Omit<Parsed, 'version'> {
  if (!secret) return { error: `there is no Secret ${key}` };
  const { 'tls.crt': cert, 'tls.key': privateKey } = secret.data ?? {};
  if (!cert || !privateKey) return { error: `the Secret ${key} has no tls.crt and tls.key` };
  try {
    const pem = { cert: decode(cert), key: decode(privateKey) };
    return { pem, context: createSecureContext(pem) };
  } catch (error) {
    return {
      error: `the certificate and key in the Secret ${key} can't be used: ${(error as Error).message}`,
    };
  }
}

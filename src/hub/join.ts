/** Certificates for nodes: a first one for a bootstrap token, and the next for the one before. */
import { createHash } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { type CertificateRequest, requestSubject } from '../auth/pki.js';
import type { Certificate, JoinRequest } from '../rpc/hub.js';
import type { TokenGrant } from './bootstrap-tokens.js';
import { CallError, nodeUser } from './credentials.js';

export interface JoinOptions {
  pki: {
    caCert: string;
    signCsr(
      csr: string,
      subject: Pick<CertificateRequest, 'commonName' | 'organizations' | 'days'>,
    ): Promise<string>;
  };
  checkToken(token: string): Promise<TokenGrant | undefined>;
  /** Whether a Node of this name is registered. */
  nodeExists(name: string): Promise<boolean>;
  /** When the node of this name was removed last (milliseconds since the epoch). */
  removedAt(name: string): number | undefined;
  now(): number;
  /** Validity of the certificates in days. */
  days: number;
}

/** How long a name stays with who joined first, before its Node is registered. */
const CLAIM_MS = 10 * 60_000;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export class Joins {
  /** Name → the key that a certificate was given to, and when. */
  readonly #claims = new Map<string, { key: string; at: number }>();

  constructor(private readonly options: JoinOptions) {}

  async join({ token = '', node = '', csr = '' }: JoinRequest): Promise<Certificate> {
    const grant = await this.options.checkToken(token ?? '');
    if (!grant) throw new CallError(status.PERMISSION_DENIED, 'the bootstrap token is not valid');
    if (!NAME.test(node))
      throw new CallError(status.INVALID_ARGUMENT, `${JSON.stringify(node)} is no node name`);
    const key = await this.#claimKey(csr);
    if (!grant.replace && (await this.#isTaken(node, key)))
      throw new CallError(
        status.ALREADY_EXISTS,
        `node ${node} exists: remove it first, or join with another name`,
      );
    this.#claims.set(node, { key, at: this.options.now() });
    return this.#sign(node, csr);
  }

  renew(node: string, csr: string): Promise<Certificate> {
    return this.#sign(node, csr);
  }

  async #isTaken(node: string, key: string): Promise<boolean> {
    const now = this.options.now();
    for (const [name, { at }] of this.#claims) if (now - at > CLAIM_MS) this.#claims.delete(name);
    const claim = this.#claims.get(node);
    if (claim && claim.at > (this.options.removedAt(node) ?? 0)) return claim.key !== key;
    return this.options.nodeExists(node);
  }

  /** Two requests with one key come from one node that asks again. */
  async #claimKey(csr: string): Promise<string> {
    try {
      await requestSubject(csr);
    } catch (error) {
      throw new CallError(status.INVALID_ARGUMENT, `the certificate request is malformed: ${error}`);
    }
    return createHash('sha256').update(csr.trim()).digest('hex');
  }

  async #sign(node: string, csr: string): Promise<Certificate> {
    const { name, groups } = nodeUser(node);
    const organizations = groups.filter((group) => group === 'system:nodes');
    try {
      const { pki, days } = this.options;
      const certificate = await pki.signCsr(csr, { commonName: name, organizations, days });
      return { certificate, ca: pki.caCert };
    } catch (error) {
      throw new CallError(status.INVALID_ARGUMENT, `the certificate request is malformed: ${error}`);
    }
  }
}

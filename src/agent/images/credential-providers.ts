/**
 * Plugins that give credentials of registries (`credentialprovider.kubelet.k8s.io`).
 * @see https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { parse } from 'yaml';
import type { Pod } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { duration } from '../node/eviction/thresholds.js';
import { type Credential, type DockerAuths, keyring, matches } from './keyring.js';
import {
  type Identity,
  identityOf,
  NOBODY,
  type PodAccounts,
  readTokenAttributes,
  type TokenAttributes,
} from './provider-tokens.js';

const GROUP = 'credentialprovider.kubelet.k8s.io';
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map((version) => `${GROUP}/${version}`);
const TIMEOUT_MS = 60_000;
const MAX_ANSWER = 1 << 20;

export interface CredentialProvider {
  /** Of its program in the folder of plugins. */
  name: string;
  /** Absolute path of its program. */
  program: string;
  matchImages: string[];
  cacheMs: number;
  apiVersion: string;
  args: string[];
  env: Record<string, string>;
  /** It gets a token of the pod's account. */
  token?: TokenAttributes;
}

/** A CredentialProviderConfig in YAML or JSON. @throws Error that says what is wrong with it. */
export function readProviders(file: string, binDir: string): CredentialProvider[] {
  const fail = (why: string): never => {
    throw new Error(`--image-credential-provider-config: ${file}: ${why}`);
  };
  let config: any;
  try {
    config = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return fail((error as Error).message);
  }
  if (config?.kind !== 'CredentialProviderConfig' || !/^kubelet\.config\.k8s\.io\/v1/.test(config.apiVersion))
    return fail('it is no CredentialProviderConfig of kubelet.config.k8s.io/v1');
  if (!Array.isArray(config.providers) || config.providers.length === 0)
    return fail('at least 1 item in plugins is required');
  const names = new Set<string>();
  return config.providers.map((provider: any): CredentialProvider => {
    const { name, matchImages, apiVersion, defaultCacheDuration, tokenAttributes } = provider ?? {};
    if (typeof name !== 'string' || !/^[^/\s]+$/.test(name) || name === '.' || name === '..')
      fail(`provider name ${JSON.stringify(name)} is not the name of a program`);
    if (names.has(name)) fail(`duplicate provider name ${JSON.stringify(name)}`);
    names.add(name);
    if (!Array.isArray(matchImages) || matchImages.length === 0)
      fail(`provider ${name}: at least 1 item in matchImages is required`);
    if (!VERSIONS.includes(apiVersion))
      fail(`provider ${name}: unsupported apiVersion ${JSON.stringify(apiVersion)}`);
    if (typeof defaultCacheDuration !== 'string') fail(`provider ${name}: defaultCacheDuration is required`);
    const program = join(binDir, name);
    try {
      accessSync(program, constants.X_OK);
    } catch {
      fail(`plugin binary executable ${program} did not exist`);
    }
    return {
      ...{ name, program, matchImages, apiVersion, args: provider.args ?? [] },
      cacheMs: duration('image-credential-provider-config', defaultCacheDuration),
      ...(tokenAttributes
        ? {
            token: readTokenAttributes(tokenAttributes, apiVersion, (why) =>
              fail(`provider ${name}: ${why}`),
            ),
          }
        : {}),
      env: Object.fromEntries((provider.env ?? []).map((one: any) => [one.name, one.value])),
    };
  });
}

interface Answer {
  auth: DockerAuths;
  until: number;
}

export class CredentialProviders {
  readonly #cache = new Map<string, Answer>();
  readonly #running = new Map<string, Promise<DockerAuths>>();

  constructor(
    private readonly providers: CredentialProvider[],
    private readonly accounts: PodAccounts,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** For an image by `registry/repository`, and the pod that wants it. */
  async credentials(image: string, pod: Pod): Promise<Credential[]> {
    const fitting = this.providers.filter(({ matchImages }) =>
      matchImages.some((one) => matches(one, image)),
    );
    const found = await Promise.all(
      fitting.map(async (provider) => {
        const identity = await this.#identity(provider, pod, image);
        if (!identity) return { auths: {} };
        const auths = await this.#auths(provider, image, identity);
        return { auths, ...(identity.account ? { account: identity.account } : {}) };
      }),
    );
    return keyring(found, image);
  }

  /** Undefined: the plugin is not to be asked. */
  #identity({ name, token }: CredentialProvider, pod: Pod, image: string): Promise<Identity | undefined> {
    if (!token) return Promise.resolve(NOBODY);
    return identityOf(token, pod, this.accounts).catch((err) => {
      this.logger.warn({ provider: name, image, err }, 'a plugin can not be asked: the pod has no token');
      return undefined;
    });
  }

  #auths(provider: CredentialProvider, image: string, identity: Identity): Promise<DockerAuths> {
    const registry = image.slice(0, image.indexOf('/'));
    for (const scope of [image, registry, '*']) {
      const known = this.#cache.get(cacheKey(provider, identity, scope));
      if (known && known.until > this.clock.elapsed()) return Promise.resolve(known.auth);
    }
    const key = `${cacheKey(provider, identity, image)} ${identity.token ?? ''}`;
    let running = this.#running.get(key);
    if (!running) {
      running = this.#ask(provider, image, identity).catch((error) => {
        this.logger.warn({ provider: provider.name, image, err: error }, 'a plugin gave no credentials');
        return {};
      });
      this.#running.set(key, running);
      void running.finally(() => this.#running.delete(key));
    }
    return running;
  }

  async #ask(provider: CredentialProvider, image: string, identity: Identity): Promise<DockerAuths> {
    const { apiVersion } = provider;
    const request = {
      ...{ kind: 'CredentialProviderRequest', apiVersion, image },
      ...(identity.token ? { serviceAccountToken: identity.token } : {}),
      ...(identity.annotations ? { serviceAccountAnnotations: identity.annotations } : {}),
    };
    const answer = JSON.parse(await run(provider, JSON.stringify(request)));
    if (answer?.kind !== 'CredentialProviderResponse' || answer.apiVersion !== apiVersion)
      throw new Error(`it did not answer with a CredentialProviderResponse of ${apiVersion}`);
    const auth: DockerAuths = answer.auth ?? {};
    const scopes: Record<string, string> = {
      ...{ Image: image, Registry: image.slice(0, image.indexOf('/')), Global: '*' },
    };
    const scope = scopes[answer.cacheKeyType];
    if (!scope) throw new Error(`invalid cacheKeyType ${JSON.stringify(answer.cacheKeyType)}`);
    const ms = answer.cacheDuration
      ? duration('image-credential-provider-config', answer.cacheDuration)
      : provider.cacheMs;
    const now = this.clock.elapsed();
    for (const [key, { until }] of this.#cache) if (until <= now) this.#cache.delete(key);
    if (ms > 0) this.#cache.set(cacheKey(provider, identity, scope), { auth, until: now + ms });
    return auth;
  }
}

const cacheKey = ({ name }: CredentialProvider, { key }: Identity, scope: string): string =>
  JSON.stringify([name, scope, key]);

function run({ program, args, env }: CredentialProvider, input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: TIMEOUT_MS, maxBuffer: MAX_ANSWER };
    const child = execFile(program, args, options, (error, stdout, stderr) =>
      error ? reject(new Error(`${error.message.trim()} ${stderr.slice(0, 1000)}`.trim())) : resolve(stdout),
    );
    child.stdin!.on('error', () => {});
    child.stdin!.end(input);
  });
}

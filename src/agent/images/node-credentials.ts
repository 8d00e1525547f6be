/** Credentials that the node has for all its pods: `config.json` files of Docker, and plugins. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { CredentialProviders } from './credential-providers.js';
import { type Credential, keyring, parseAuths } from './keyring.js';

export interface NodeCredentialsOptions {
  /** The kubelet's folder: its `config.json` comes first, as with upstream. */
  kubeletRoot: string;
  providers: CredentialProviders | undefined;
  logger: Logger;
}

/** For an image by `registry/repository`. What can't be read or run is left out, and told in the log. */
export async function nodeCredentials(
  { kubeletRoot, providers, logger }: NodeCredentialsOptions,
  image: string,
  pod: Pod,
): Promise<Credential[]> {
  const files = [join(kubeletRoot, 'config.json'), join(homedir(), '.docker', 'config.json')];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => undefined)));
  const sources = texts.flatMap((text, i) => {
    if (text === undefined) return [];
    const parsed = parseAuths(text);
    if (!parsed) logger.warn({ file: files[i] }, 'the credentials of registries are no JSON');
    return [{ auths: parsed?.auths ?? {} }];
  });
  const given = (await providers?.credentials(image, pod)) ?? [];
  return [...keyring(sources, image), ...given];
}

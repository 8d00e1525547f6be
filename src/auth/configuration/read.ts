/** Files of the administrator's. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { httpsTransport, loadKubeconfig, type Transport } from '../../client/index.js';
import { ConfigurationError } from '../configuration-error.js';

/** Rejects with ConfigurationError. */
export async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ConfigurationError(`The ${what}, ${path}, can't be read: ${(error as Error).message}.`);
  }
}

/** A YAML document of the given kind and one of the versions. Rejects with ConfigurationError. */
export async function readDocument(
  path: string,
  what: string,
  kind: string,
  versions: string[],
): Promise<Record<string, any>> {
  const text = await readText(path, what);
  let document: any;
  try {
    document = parse(text);
  } catch (error) {
    throw new ConfigurationError(
      `The ${what}, ${path}, is not YAML: ${(error as Error).message.split('\n')[0]}.`,
    );
  }
  if (document?.kind !== kind || !versions.includes(document.apiVersion))
    throw new ConfigurationError(`The ${what}, ${path}, is not of the kind ${kind} of ${versions[0]}.`);
  return document;
}

/** A client of the service that a webhook's kubeconfig names. Rejects with ConfigurationError. */
export async function webhookTransport(path: string, what: string, timeout = 10_000): Promise<Transport> {
  try {
    return httpsTransport({ ...(await loadKubeconfig(path)).transport, timeout });
  } catch (error) {
    throw new ConfigurationError(`The ${what} can't be used: ${(error as Error).message}.`);
  }
}

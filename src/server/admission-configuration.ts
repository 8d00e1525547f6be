/**
 * AdmissionConfiguration: configurations of admission plugins, in the file or in files of their own.
 * @see https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
 */
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import {
  type PodSecurityConfiguration,
  podSecurityConfiguration,
} from '../apiserver/admission/pod-security/configuration.js';
import { readDocument, readText } from '../auth/configuration/read.js';
import { ConfigurationError } from '../auth/configuration-error.js';

const WHAT = 'admission configuration';

/** The configuration of PodSecurity; undefined: there is none. Rejects with ConfigurationError. */
export async function loadPodSecurity(
  file: string | undefined,
): Promise<PodSecurityConfiguration | undefined> {
  if (!file) return undefined;
  const document = await readDocument(file, WHAT, 'AdmissionConfiguration', ['apiserver.config.k8s.io/v1']);
  const plugins: any[] = document['plugins'] ?? [];
  const unknown = plugins.find((plugin) => plugin?.name !== 'PodSecurity');
  if (unknown)
    throw new ConfigurationError(
      `The ${WHAT}, ${file}, has the plugin ${unknown.name}; PodSecurity is known.`,
    );
  const [plugin] = plugins;
  if (!plugin) return undefined;
  const configuration = plugin.path
    ? parse(await readText(resolve(dirname(file), plugin.path), WHAT))
    : plugin.configuration;
  try {
    return podSecurityConfiguration(configuration);
  } catch (error) {
    throw new ConfigurationError(`The ${WHAT}, ${file}, can't be used: ${(error as Error).message}.`);
  }
}

/** How the agent pulls images. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { NodeSettings } from '../node/settings.js';
import { CredentialProviders } from './credential-providers.js';
import type { ImagePullerOptions } from './image-puller.js';
import { nodeCredentials } from './node-credentials.js';
import type { PodAccounts } from './provider-tokens.js';
import { PulledImages } from './pulled-images.js';

/** From the node's settings. */
export function pulling(
  options: {
    settings: NodeSettings;
    kubeletRoot: string;
    pulledDir: string;
    clock: Clock;
    logger: Logger;
  },
  accounts: PodAccounts,
): Pick<ImagePullerOptions, 'nodeCredentials' | 'records' | 'parallel'> {
  const { settings, kubeletRoot, pulledDir, clock, logger } = options;
  const { providers: configured, parallelPulls, verification } = settings.images;
  const providers =
    configured.length > 0 ? new CredentialProviders(configured, accounts, clock, logger) : undefined;
  return {
    nodeCredentials: (image, pod) => nodeCredentials({ kubeletRoot, providers, logger }, image, pod),
    records: new PulledImages(pulledDir, verification),
    parallel: parallelPulls,
  };
}

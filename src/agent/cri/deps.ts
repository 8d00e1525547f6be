/** What the services of the Container Runtime Interface work with. */
import type { Logger } from 'pino';
import type { Pod } from '#types';
import type { PodNetwork } from '../../network/types.js';
import type { ImageStore, Runtime } from '../../runtime/types.js';
import { HANDLERS as NODE_HANDLERS } from '../pods/runtime-handler.js';
import type { OwnSandboxes } from './own.js';
import type { StreamServer } from './stream-server.js';

export interface CriOptions {
  /** The unix socket. */
  socket: string;
  /** For what is made through this interface. */
  stateDir: string;
  imagesDir: string;
  runtime: Runtime;
  images: ImageStore;
  network: PodNetwork;
  /** The pod of a sandbox that the cluster's own pods have; undefined while nothing is known of it. */
  podOf(sandboxId: string): Pod | undefined;
  /** Why pods can't be connected; undefined when they can. */
  networkNotReady(): string | undefined;
  logger: Logger;
}

export interface CriDeps extends CriOptions {
  own: OwnSandboxes;
  streams: StreamServer;
}

export const RUNTIME_NAME = 'keelson';
/** Handlers that a sandbox may ask for. */
export const HANDLERS = ['', ...NODE_HANDLERS];

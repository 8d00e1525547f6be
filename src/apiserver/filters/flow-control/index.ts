/** Flow control as the server uses it: configured by the store's objects, asked once a request. */
import type { Logger } from 'pino';
import type { FlowSchema, PriorityLevelConfiguration } from '#types';
import type { Clock } from '../../../api/machinery/clock.js';
import { flowSchemas, priorityLevelConfigurations } from '../../../api/resources/index.js';
import type { Transport } from '../../../client/transport.js';
import type { Store } from '../../../store/store.js';
import { follow } from '../../follow.js';
import { prefixOf } from '../../keys.js';
import type { FlowControl } from './flow-control.js';
import { ensureDefaults, FlowControlKeeper } from './keep.js';

export { type Classified, FlowControl, type Ticket, TooManyRequests } from './flow-control.js';

interface Parts {
  store: Store;
  transport: Transport;
  clock: Clock;
  logger: Logger;
  closing: AbortSignal;
}

/** Makes the default objects, and follows all of their kinds until `closing`. */
export async function startFlowControl(flow: FlowControl, parts: Parts): Promise<{ done: Promise<unknown> }> {
  const { store, transport, clock, logger, closing } = parts;
  await ensureDefaults(transport);
  const keeper = new FlowControlKeeper(store, transport, clock, logger, closing);
  const nameOf = (key: string) => key.slice(key.lastIndexOf('/') + 1);
  const schemasOf = new Map<string, string>();
  const levels = await follow(
    store,
    prefixOf(priorityLevelConfigurations, ''),
    (key, object) => {
      const name = nameOf(key);
      flow.setLevel(name, object as PriorityLevelConfiguration | undefined);
      keeper.touch(priorityLevelConfigurations.plural, name);
      for (const [schema, level] of schemasOf) if (level === name) keeper.touch(flowSchemas.plural, schema);
    },
    closing,
  );
  const schemas = await follow(
    store,
    prefixOf(flowSchemas, ''),
    (key, object) => {
      const name = nameOf(key);
      const schema = object as FlowSchema | undefined;
      flow.setSchema(name, schema);
      if (schema) schemasOf.set(name, schema.spec.priorityLevelConfiguration.name);
      else schemasOf.delete(name);
      keeper.touch(flowSchemas.plural, name);
    },
    closing,
  );
  return { done: Promise.all([levels.done, schemas.done, keeper.done]) };
}

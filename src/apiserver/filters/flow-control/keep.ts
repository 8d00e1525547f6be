/** Keeps the default objects of flow control, and tells which FlowSchemas lead nowhere. */
import type { Logger } from 'pino';
import type { FlowSchema, PriorityLevelConfiguration } from '#types';
import { type Clock, timestamp } from '../../../api/machinery/clock.js';
import { isReason } from '../../../api/machinery/status.js';
import type { KubeObject } from '../../../api/machinery/types.js';
import { sameJson } from '../../../api/machinery/validation.js';
import type { Resource } from '../../../api/resources/define.js';
import {
  AUTO_UPDATE,
  MANDATORY_LEVELS,
  MANDATORY_SCHEMAS,
} from '../../../api/resources/flowcontrol/mandatory.js';
import { flowSchemas, priorityLevelConfigurations } from '../../../api/resources/index.js';
import { Client } from '../../../client/client.js';
import { WorkQueue } from '../../../client/queue.js';
import type { Transport } from '../../../client/transport.js';
import { runWorkers } from '../../../client/workers.js';
import type { Store } from '../../../store/store.js';
import { keyOf } from '../../keys.js';
import { SUGGESTED_LEVELS, SUGGESTED_SCHEMAS } from './defaults.js';

type Default = FlowSchema | PriorityLevelConfiguration;

const resourceOf = ({ kind }: Default): Resource<any> =>
  kind === 'FlowSchema' ? flowSchemas : priorityLevelConfigurations;

const MANDATORY = [...MANDATORY_LEVELS, ...MANDATORY_SCHEMAS];
const DEFAULTS: Default[] = [...MANDATORY, ...SUGGESTED_LEVELS, ...SUGGESTED_SCHEMAS];

/** Makes those that are missing, and brings back those that may not differ. */
export async function ensureDefaults(transport: Transport): Promise<void> {
  await Promise.all(DEFAULTS.map((wanted) => ensure(transport, wanted)));
}

async function ensure(transport: Transport, wanted: Default): Promise<void> {
  const client = new Client(transport).of<any>(resourceOf(wanted));
  try {
    await client.create(wanted as any);
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error;
    await repair(client, wanted);
  }
}

/** An object that says `true` follows its default, one that says nothing does while it is as it was created. */
async function repair(client: ReturnType<Client['of']>, wanted: Default): Promise<void> {
  const existing = (await client.get('', wanted.metadata.name!)) as KubeObject & Default;
  const { annotations = {}, generation = 1 } = existing.metadata;
  const mandatory = (MANDATORY as Default[]).includes(wanted);
  const said = annotations[AUTO_UPDATE];
  const follows = mandatory || said === 'true' || (said === undefined && generation === 1);
  const annotation = follows ? 'true' : said;
  const sameSpec = !follows || sameJson(existing.spec, wanted.spec);
  if (sameSpec && (annotation === said || !follows)) return;
  await client.update({
    ...existing,
    metadata: { ...existing.metadata, annotations: { ...annotations, [AUTO_UPDATE]: annotation! } },
    spec: sameSpec ? existing.spec : wanted.spec,
  } as any);
}

/** Reconciles what `touch` names: `flowschemas/<name>` or `prioritylevelconfigurations/<name>`. */
export class FlowControlKeeper {
  readonly #queue = new WorkQueue({ name: 'priority_and_fairness_config_queue' });
  readonly done: Promise<void>;

  constructor(
    private readonly store: Store,
    private readonly transport: Transport,
    private readonly clock: Clock,
    logger: Logger,
    closing: AbortSignal,
  ) {
    this.done = runWorkers(this.#queue, 1, (key) => this.#reconcile(key), { logger, signal: closing });
  }

  touch(plural: string, name: string): void {
    this.#queue.add(`${plural}/${name}`);
  }

  async #reconcile(key: string): Promise<void> {
    const [plural, name = ''] = key.split('/');
    const wanted = DEFAULTS.find((d) => resourceOf(d).plural === plural && d.metadata.name === name);
    if (wanted) await ensure(this.transport, wanted);
    if (plural === flowSchemas.plural) await this.#tellDangling(name);
  }

  async #tellDangling(name: string): Promise<void> {
    const flow = this.store.get(keyOf(flowSchemas, '', name))?.object as FlowSchema | undefined;
    if (!flow) return;
    const level = flow.spec.priorityLevelConfiguration.name;
    const found = this.store.get(keyOf(priorityLevelConfigurations, '', level)) !== undefined;
    const object = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)}`;
    const wanted = {
      type: 'Dangling',
      status: found ? 'False' : 'True',
      reason: found ? 'Found' : 'NotFound',
      message: found ? `${object} and it exists` : `${object} but there is no such object`,
    };
    const old = flow.status?.conditions?.find(({ type }) => type === 'Dangling');
    if (old?.status === wanted.status && old.message === wanted.message) return;
    const lastTransitionTime =
      old?.status === wanted.status ? old.lastTransitionTime : timestamp(this.clock.now());
    const status = { conditions: [{ ...wanted, lastTransitionTime }] };
    await new Client(this.transport)
      .of(flowSchemas)
      .patch('', name, { status }, { type: 'strategic', subresource: 'status' })
      .catch((error) => {
        if (!isReason(error, 'NotFound')) throw error;
      });
  }
}

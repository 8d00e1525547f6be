/** The HorizontalPodAutoscaler controller (upstream `pkg/controller/podautoscaler`). */
import type { AutoscalingV2HorizontalPodAutoscaler as Autoscaler, Pod } from '#types';
import type { Selector } from '../../api/machinery/selectors.js';
import { isReason } from '../../api/machinery/status.js';
import { objectKey } from '../../api/machinery/types.js';
import { sameJson } from '../../api/machinery/validation.js';
import { horizontalPodAutoscalers, pods } from '../../api/resources/index.js';
import type { Informer } from '../../client/index.js';
import { namespaceIndex } from '../children.js';
import { type Context, type Controller, type ControllersOptions, contextOf, WorkLoop } from '../context.js';
import { Look, type Memory, type Selected } from './look.js';

/** Of the flag `--horizontal-pod-autoscaler-sync-period`. */
const SYNC_MS = 15_000;

export function startHorizontalPodAutoscaler(options: ControllersOptions): Controller {
  return new AutoscalerController(contextOf(options, 'horizontal-pod-autoscaler')).loop;
}

class AutoscalerController {
  readonly loop: WorkLoop;
  readonly #context: Context;
  readonly #autoscalers: Informer<Autoscaler>;
  readonly #pods: Informer<Pod>;
  readonly #memories = new Map<string, Memory>();
  /** Which pods each autoscaler's target has. */
  readonly #selectors = new Map<string, Selector>();

  constructor(context: Context) {
    this.#context = context;
    this.#autoscalers = context.informers.of(horizontalPodAutoscalers);
    this.#pods = context.informers.of(pods, { indexes: { namespace: namespaceIndex } });
    const synced = [this.#autoscalers.synced, this.#pods.synced];
    this.loop = new WorkLoop(context, synced, (key) => this.#reconcile(key));
    this.loop.onClose(
      this.#autoscalers.on({
        added: (autoscaler) => this.loop.queue.add(objectKey(autoscaler)),
        updated: (old, autoscaler) => {
          if (!sameJson(old.spec, autoscaler.spec)) this.loop.queue.add(objectKey(autoscaler));
        },
        deleted: (autoscaler) => {
          this.#memories.delete(objectKey(autoscaler));
          this.#selectors.delete(objectKey(autoscaler));
        },
      }),
    );
  }

  /** The pods of the target of one autoscaler, and who else scales them. */
  #select(key: string, selector: Selector): Selected {
    this.#selectors.set(key, selector);
    const namespace = key.slice(0, key.indexOf('/'));
    const matching = (wanted: Selector, among: Pod[]) =>
      among.filter(({ metadata }) => wanted.matches(metadata.labels));
    const found = matching(selector, this.#pods.byIndex('namespace', namespace));
    const autoscalers = [...this.#selectors]
      .filter(([other, wanted]) => other.startsWith(`${namespace}/`) && matching(wanted, found).length > 0)
      .map(([other]) => other);
    return { pods: found, autoscalers };
  }

  async #reconcile(key: string): Promise<void> {
    const autoscaler = this.#autoscalers.get(key);
    if (autoscaler === undefined || autoscaler.metadata.deletionTimestamp !== undefined) return;
    const memory = this.#memories.get(key) ?? { recommendations: [], events: [] };
    this.#memories.set(key, memory);
    const look = new Look(this.#context, autoscaler, memory, (selector) => this.#select(key, selector));
    try {
      await look.scale();
      await look.write();
    } catch (error) {
      if (!isReason(error, 'Conflict') && !isReason(error, 'NotFound')) throw error;
    } finally {
      // Its time comes again whatever came of this one.
      this.loop.queue.addAfter(key, SYNC_MS);
    }
  }
}

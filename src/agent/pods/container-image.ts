/** The image of one container: pulled when it is needed, and tried again when that fails. */
import type { Container } from '#types';
import type { Image } from '../../runtime/types.js';
import { ImageUnavailable } from '../images/image-puller.js';
import type { PodContext } from './container-runner.js';
import type { ContainerRecord } from './status.js';
import type { WorkerDeps } from './worker-deps.js';

/** After a failure that has no time of its own. */
const RETRY_MS = 10_000;
/** ErrImagePull becomes ImagePullBackOff when it has been seen for a while. */
const BACKOFF_SHOWN_MS = 2000;

export interface ImageUser {
  readonly container: Container;
  readonly context: PodContext;
  readonly record: ContainerRecord;
  after(ms: number, work: () => void): void;
}

export class ContainerImage {
  #image: Image | undefined;
  #pulling = false;
  /** No pull before this, by `clock.elapsed()`. */
  retryAt = 0;

  constructor(
    private readonly of: ImageUser,
    private readonly deps: Pick<WorkerDeps, 'clock' | 'puller'>,
  ) {}

  get image(): Image | undefined {
    return this.#image;
  }

  /** Undefined: it has to be looked for. */
  set(image: Image | undefined): void {
    this.#image = image;
    if (!image) return;
    const { record, container } = this.of;
    record.imageName = image.tags[0] ?? image.digests[0] ?? container.image ?? '';
    record.imageId = image.digests[0] ?? image.id;
  }

  /** Has it here, if that can be done now; why not is in the record. */
  async ensure(): Promise<void> {
    if (this.#pulling || this.#image || this.deps.clock.elapsed() < this.retryAt) return;
    this.#pulling = true;
    try {
      await this.pull();
      this.retryAt = 0;
      const { record } = this.of;
      if (!record.latest) record.waiting = undefined;
    } catch (error) {
      this.failed(error);
    } finally {
      this.#pulling = false;
    }
  }

  /** As the pull policy says. @throws ImageUnavailable */
  async pull(): Promise<Image> {
    const { context, container } = this.of;
    const image = await this.deps.puller.ensure(context.pod, container);
    this.set(image);
    return image;
  }

  failed(error: unknown): void {
    const { record, container, context } = this.of;
    const { clock, puller } = this.deps;
    const { reason, message, retryAt } =
      error instanceof ImageUnavailable
        ? error
        : { reason: 'ErrImagePull', message: (error as Error).message, retryAt: clock.elapsed() + RETRY_MS };
    record.waiting = { reason, message };
    this.retryAt = retryAt ?? Number.POSITIVE_INFINITY;
    if (retryAt === undefined) return;
    this.of.after(Math.min(BACKOFF_SHOWN_MS, retryAt - clock.elapsed()), () => {
      if (record.waiting?.reason !== 'ErrImagePull' || context.terminating) return;
      const backOff = puller.backOff(context.pod, container);
      record.waiting = { reason: backOff.reason, message: backOff.message };
      context.changed();
    });
    this.of.after(retryAt - clock.elapsed(), () => context.changed());
  }
}

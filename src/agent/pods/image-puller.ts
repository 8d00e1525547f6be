/** Images for containers: pull policy, back-off and events as upstream's image manager. */
import type { Container, Pod, Secret } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { type Image, ImageError, type ImageStore } from '../../runtime/types.js';
import { KeyedBackoff } from './backoff.js';
import type { PodEvent } from './events.js';
import { registryAuth } from './registry-auth.js';

/** Why there is no image: a waiting reason and its message. */
export class ImageUnavailable extends Error {
  constructor(
    readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'InvalidImageName' | 'ErrImageNeverPull',
    message: string,
    /** When to try again, by `clock.elapsed()`; undefined: never. */
    readonly retryAt: number | undefined,
  ) {
    super(message);
  }
}

export interface ImagePullerOptions {
  images: ImageStore;
  clock: Clock;
  event: PodEvent;
  secret(namespace: string, name: string): Secret | undefined;
  /** The node has another image. */
  pulled(): void;
}

/** `:latest` and no tag are pulled each time, if nothing is said. */
export function pullPolicy({ imagePullPolicy, image = '' }: Container): string {
  if (imagePullPolicy) return imagePullPolicy;
  return image.includes('@') || (/:[^/]+$/.test(image) && !image.endsWith(':latest'))
    ? 'IfNotPresent'
    : 'Always';
}

export class ImagePuller {
  readonly #options: ImagePullerOptions;
  readonly #backoff = new KeyedBackoff();
  readonly #errors = new Map<string, string>();
  readonly #pulls = new Map<string, Promise<Image>>();

  constructor(options: ImagePullerOptions) {
    this.#options = options;
  }

  /** The container's image, pulled if its policy wants that. Rejects with ImageUnavailable. */
  async ensure(pod: Pod, container: Container): Promise<Image> {
    const { images, clock, event } = this.#options;
    const name = container.image ?? '';
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      event(pod, container, type, reason, message);
    const quoted = JSON.stringify(name);
    let present: Image | undefined;
    try {
      present = images.find(name);
    } catch (error) {
      throw this.#invalid(name, error, tell);
    }
    const policy = pullPolicy(container);
    if (present && policy !== 'Always') {
      tell(
        'Normal',
        'Pulled',
        `Container image ${quoted} already present on machine and can be accessed by the pod`,
      );
      return present;
    }
    if (policy === 'Never') {
      const message = `Container image ${quoted} is not present with pull policy of Never`;
      tell('Warning', 'ErrImageNeverPull', message);
      tell('Warning', 'Failed', 'Error: ErrImageNeverPull');
      throw new ImageUnavailable('ErrImageNeverPull', message, undefined);
    }
    const key = `${pod.metadata.uid}_${name}`;
    const started = clock.elapsed();
    tell('Normal', 'Pulling', `Pulling image ${quoted}`);
    try {
      const image = await this.#pull(pod, name);
      const seconds = `${Number(((clock.elapsed() - started) / 1000).toPrecision(4))}s`;
      tell(
        'Normal',
        'Pulled',
        `Successfully pulled image ${quoted} in ${seconds} (${seconds} including waiting). Image size: ${image.size} bytes.`,
      );
      this.#options.pulled();
      this.#backoff.forget(key);
      this.#errors.delete(key);
      return image;
    } catch (error) {
      if (error instanceof ImageError && error.code === 'InvalidName') throw this.#invalid(name, error, tell);
      const { message } = error as Error;
      tell('Warning', 'Failed', `Failed to pull image ${quoted}: ${message}`);
      tell('Warning', 'Failed', 'Error: ErrImagePull');
      const now = clock.elapsed();
      this.#backoff.next(key, now, now);
      this.#errors.set(key, message);
      throw new ImageUnavailable('ErrImagePull', message, this.#backoff.notBefore(key, now));
    }
  }

  /** What a container that waits for its next try says, with its event. */
  backOff(pod: Pod, container: Container): ImageUnavailable {
    const { event } = this.#options;
    const name = JSON.stringify(container.image ?? '');
    const message = `Back-off pulling image ${name}`;
    event(pod, container, 'Normal', 'BackOff', message);
    event(pod, container, 'Warning', 'Failed', 'Error: ImagePullBackOff');
    const last = this.#errors.get(`${pod.metadata.uid}_${container.image}`);
    return new ImageUnavailable(
      'ImagePullBackOff',
      last ? `${message}: ErrImagePull: ${last}` : message,
      undefined,
    );
  }

  /** Several pods that want one image wait for one pull. */
  #pull(pod: Pod, name: string): Promise<Image> {
    const auth = registryAuth(pod, name, this.#options.secret);
    const key = `${name} ${JSON.stringify(auth ?? null)}`;
    let pull = this.#pulls.get(key);
    if (!pull) {
      pull = this.#options.images.pull(name, auth ? { auth } : {});
      this.#pulls.set(key, pull);
      const done = () => this.#pulls.delete(key);
      pull.then(done, done);
    }
    return pull;
  }

  #invalid(
    name: string,
    error: unknown,
    tell: (type: 'Normal' | 'Warning', reason: string, message: string) => void,
  ): ImageUnavailable {
    const why = (error as Error).message;
    const message = `Failed to apply default image tag ${JSON.stringify(name)}: ${why}`;
    tell('Warning', 'InspectFailed', message);
    tell('Warning', 'Failed', 'Error: InvalidImageName');
    return new ImageUnavailable('InvalidImageName', message, undefined);
  }
}

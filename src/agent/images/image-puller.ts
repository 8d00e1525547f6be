/** Images for containers: pull policy, back-off and events as upstream's image manager. */
import type { Container, Pod, Secret } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { isBuiltIn } from '../../runtime/images/builtin.js';
import { parseReference } from '../../runtime/images/reference.js';
import { type Image, ImageError, type ImageStore } from '../../runtime/types.js';
import { goMilliseconds, KeyedBackoff } from '../pods/backoff.js';
import type { PodEvent } from '../pods/events.js';
import { type Credential, secretCredentials } from './keyring.js';
import { PullLimit } from './pull-limit.js';
import type { PulledImages } from './pulled-images.js';

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
  /** What the node has for an image, by `registry/repository`, and for the account of the pod that wants it. */
  nodeCredentials(image: string, pod: Pod): Promise<Credential[]>;
  records: PulledImages;
  /** Most pulls at once. */
  parallel: number;
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

interface Pulled {
  image: Image;
  /** How long it took, without waiting for its turn. */
  ms: number;
}

export class ImagePuller {
  readonly #options: ImagePullerOptions;
  readonly #backoff = new KeyedBackoff();
  readonly #errors = new Map<string, string>();
  readonly #pulls = new Map<string, Promise<Pulled>>();
  readonly #limit: PullLimit;

  constructor(options: ImagePullerOptions) {
    this.#options = options;
    this.#limit = new PullLimit(options.parallel);
  }

  /** The container's image, pulled if its policy wants that. Rejects with ImageUnavailable. */
  async ensure(pod: Pod, container: Container): Promise<Image> {
    const { images, clock, event } = this.#options;
    const name = container.image ?? '';
    const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      event(pod, container, type, reason, message);
    const quoted = JSON.stringify(name);
    let present: Image | undefined;
    let repository: string;
    try {
      present = images.find(name);
      repository = images.get(name) ? '' : parseReference(name).name;
    } catch (error) {
      throw this.#invalid(name, error, tell);
    }
    const policy = pullPolicy(container);
    const never = (message: string) => {
      tell('Warning', 'ErrImageNeverPull', message);
      tell('Warning', 'Failed', 'Error: ErrImageNeverPull');
      return new ImageUnavailable('ErrImageNeverPull', message, undefined);
    };
    if (!present && policy === 'Never')
      throw never(`Container image ${quoted} is not present with pull policy of Never`);
    const secrets = secretCredentials(pod, repository, this.#options.secret);
    if (present && policy !== 'Always') {
      if (await this.#mayUse(present, repository, secrets, pod)) {
        tell(
          'Normal',
          'Pulled',
          `Container image ${quoted} already present on machine and can be accessed by the pod`,
        );
        return present;
      }
      if (policy === 'Never')
        throw never(
          `Container image ${quoted} is present with pull policy of Never but does not have the proper credentials to access the image`,
        );
    }
    const key = `${pod.metadata.uid}_${name}`;
    const started = clock.elapsed();
    tell('Normal', 'Pulling', `Pulling image ${quoted}`);
    try {
      const { image, ms } = await this.#pull(name, repository, secrets, pod);
      tell(
        'Normal',
        'Pulled',
        `Successfully pulled image ${quoted} in ${goMilliseconds(ms)} (${goMilliseconds(clock.elapsed() - started)} including waiting). Image size: ${image.size} bytes.`,
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

  /** What is known by its id alone has no registry that could be asked. */
  async #mayUse(image: Image, repository: string, secrets: Credential[], pod: Pod): Promise<boolean> {
    const { records, nodeCredentials } = this.#options;
    if (!repository || isBuiltIn(image) || (await records.mayUse(image.id, repository, secrets))) return true;
    const given = (await nodeCredentials(repository, pod)).filter(({ account }) => account);
    return given.length > 0 && records.mayUse(image.id, repository, given);
  }

  /** With each of the credentials in turn, those of the pod first; without any when there are none. */
  async #pull(name: string, repository: string, secrets: Credential[], pod: Pod): Promise<Pulled> {
    const found = [...secrets, ...(await this.#options.nodeCredentials(repository, pod))];
    const messages = new Set<string>();
    let first: ImageError | undefined;
    for (const credential of found.length > 0 ? found : [undefined])
      try {
        return await this.#pullWith(name, repository, credential);
      } catch (error) {
        if (!(error instanceof ImageError) || error.code === 'InvalidName') throw error;
        first ??= error;
        messages.add(error.message);
      }
    if (messages.size === 1) throw first;
    throw new ImageError(first!.code, `[${[...messages].join(', ')}]`);
  }

  /** Several pods that want one image wait for one pull. */
  #pullWith(name: string, repository: string, credential: Credential | undefined): Promise<Pulled> {
    const key = JSON.stringify([name, credential]);
    let pull = this.#pulls.get(key);
    if (!pull) {
      pull = this.#limit.run(() => this.#recorded(name, repository, credential));
      this.#pulls.set(key, pull);
      const done = () => this.#pulls.delete(key);
      pull.then(done, done);
    }
    return pull;
  }

  async #recorded(name: string, repository: string, credential: Credential | undefined): Promise<Pulled> {
    const { images, clock, records } = this.#options;
    const started = clock.elapsed();
    const auth = credential && { username: credential.username, password: credential.password };
    return records.during(repository, async () => {
      const image = await images.pull(name, auth ? { auth } : {});
      const ms = clock.elapsed() - started;
      if (!isBuiltIn(image))
        await records.note(image.id, repository, credential, (id) => images.get(id) !== undefined);
      return { image, ms };
    });
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

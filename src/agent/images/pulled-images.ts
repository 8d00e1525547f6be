/**
 * Who may use an image that is on the node: what was pulled with a pod's secret is not for pods without (KEP-2535). What the
 * agent did not pull (imported, built, built in) is for all, as upstream's policy NeverVerifyPreloadedImages has it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credential } from './keyring.js';

const MAX_SECRETS = 100;

interface UsedSecret {
  uid: string;
  namespace: string;
  name: string;
  /** Of user and password. */
  credentialHash: string;
}

interface ForName {
  /** It came without credentials, or with the node's own. */
  nodePodsAccessible?: boolean;
  kubernetesSecrets?: UsedSecret[];
}

interface PulledRecord {
  imageRef: string;
  lastUpdatedTime: string;
  /** By the image's name without tag and digest. */
  credentialMapping: Record<string, ForName>;
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const credentialHash = ({ username, password }: Credential): string =>
  hash(JSON.stringify([username, password]));

export class PulledImages {
  readonly #dir: string;

  /** `dir`: beside the images, so that all nodes that share these know it. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Whether a pod with these secrets may use the image that is here under that name. */
  async mayUse(id: string, name: string, credentials: Credential[]): Promise<boolean> {
    const record = await this.#read(id);
    if (!record) return (await readFile(this.#intent(name)).catch(() => undefined)) === undefined;
    const known = record.credentialMapping[name];
    if (!known) return false;
    if (known.nodePodsAccessible) return true;
    return credentials.some(({ secret, ...credential }) =>
      known.kubernetesSecrets?.some(
        (used) =>
          used.credentialHash === credentialHash(credential) ||
          (secret?.uid &&
            secret.uid === used.uid &&
            secret.namespace === used.namespace &&
            secret.name === used.name),
      ),
    );
  }

  /** Runs a pull: while it is under way, and if the agent ends before it does, what comes of it is nobody's. */
  async during<T>(name: string, pull: () => Promise<T>): Promise<T> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    await writeFile(this.#intent(name), name, { mode: 0o600 });
    try {
      return await pull();
    } finally {
      await rm(this.#intent(name), { force: true });
    }
  }

  /** `credential`: what it was pulled with. `exists` tells which images are still here: nothing is kept of others. */
  async note(id: string, name: string, credential: Credential | undefined, exists: (id: string) => boolean) {
    const before = await this.#read(id);
    const known = before?.credentialMapping[name] ?? {};
    const next = withCredential(known, credential);
    if (JSON.stringify(next) === JSON.stringify(known)) return;
    const record: PulledRecord = {
      imageRef: id,
      lastUpdatedTime: new Date().toISOString(),
      credentialMapping: { ...before?.credentialMapping, [name]: next },
    };
    const temporary = `${this.#record(id)}.${randomBytes(6).toString('hex')}`;
    await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
    await rename(temporary, this.#record(id));
    const files = (await readdir(this.#dir)).filter((file) => /^sha256-[a-f0-9]{64}$/.test(file));
    const gone = files.filter((file) => !exists(file.replace('-', ':')));
    await Promise.all(gone.map((file) => rm(join(this.#dir, file), { force: true })));
  }

  async #read(id: string): Promise<PulledRecord | undefined> {
    try {
      return JSON.parse(await readFile(this.#record(id), 'utf8'));
    } catch {
      return undefined;
    }
  }

  #record(id: string): string {
    return join(this.#dir, id.replace(':', '-'));
  }

  #intent(name: string): string {
    return join(this.#dir, `pulling-${hash(name)}`);
  }
}

function withCredential(known: ForName, credential: Credential | undefined): ForName {
  if (known.nodePodsAccessible || !credential?.secret) return { nodePodsAccessible: true };
  const { uid, namespace, name } = credential.secret;
  const used = { uid, namespace, name, credentialHash: credentialHash(credential) };
  const others = (known.kubernetesSecrets ?? []).filter(
    (one) => one.uid !== uid || one.namespace !== namespace || one.name !== name,
  );
  return { kubernetesSecrets: [...others, used].slice(-MAX_SECRETS) };
}

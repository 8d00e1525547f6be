/**
 * Who may use an image that is on the node: what was pulled with a pod's secret is not for pods without (KEP-2535).
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Credential, Source } from './keyring.js';
import type { Verification } from './verification.js';

const MAX_SOURCES = 100;

interface UsedSecret extends Source {
  /** Of user and password. */
  credentialHash: string;
}

interface ForName {
  /** It came without credentials, or with the node's own. */
  nodePodsAccessible?: boolean;
  kubernetesSecrets?: UsedSecret[];
  kubernetesServiceAccounts?: Source[];
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
  constructor(
    dir: string,
    private readonly verification: Verification,
  ) {
    this.#dir = dir;
  }

  /** Whether a pod with these credentials may use the image that is here under that name. */
  async mayUse(id: string, name: string, credentials: Credential[]): Promise<boolean> {
    const record = await this.#read(id);
    const isPulled = record !== undefined || (await this.#isBeingPulled(name));
    if (!this.verification(name, isPulled)) return true;
    const known = record?.credentialMapping[name];
    if (!known) return false;
    return known.nodePodsAccessible === true || credentials.some((credential) => fits(known, credential));
  }

  async #isBeingPulled(name: string): Promise<boolean> {
    return (await readFile(this.#intent(name)).catch(() => undefined)) !== undefined;
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
    if (before && JSON.stringify(next) === JSON.stringify(known)) return;
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

const isSame = (a: Source, b: Source): boolean =>
  a.uid === b.uid && a.namespace === b.namespace && a.name === b.name;

/** Whether the image came with that credential, or for that secret or account. */
function fits(known: ForName, { secret, account, ...credential }: Credential): boolean {
  if (account?.uid) return known.kubernetesServiceAccounts?.some((used) => isSame(used, account)) ?? false;
  return (
    known.kubernetesSecrets?.some(
      (used) => used.credentialHash === credentialHash(credential) || (secret?.uid && isSame(used, secret)),
    ) ?? false
  );
}

function withCredential(known: ForName, credential: Credential | undefined): ForName {
  const { secret, account } = credential ?? {};
  if (known.nodePodsAccessible || !credential || (!secret && !account)) return { nodePodsAccessible: true };
  const added = <T extends Source>(list: T[] = [], used: T): T[] =>
    [...list.filter((one) => !isSame(one, used)), used].slice(-MAX_SOURCES);
  if (secret) {
    const used = { ...secret, credentialHash: credentialHash(credential) };
    return { ...known, kubernetesSecrets: added(known.kubernetesSecrets, used) };
  }
  // What is for one pod alone is nobody else's.
  if (!account?.uid) return known;
  return { ...known, kubernetesServiceAccounts: added(known.kubernetesServiceAccounts, account) };
}

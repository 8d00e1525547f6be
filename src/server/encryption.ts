/**
 * Encryption at rest: which resources are encrypted with which keys, as a file tells, and the change to a new key.
 * The file has the form of kube-apiserver's `--encryption-provider-config`, with the provider `aesgcm`.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
 */
import { randomBytes } from 'node:crypto';
import { ConfigurationError } from '../auth/configuration-error.js';
import { readIfThere, writeFileAtomic } from '../auth/files.js';
import {
  aesTransformer,
  resourceTransformer,
  type Store,
  StoreError,
  type Transformer,
} from '../store/index.js';
import { type EncryptionRule, parseEncryption, renderEncryption } from './encryption-file.js';

export interface Encryption {
  /** Encodes by the keys of the moment. */
  transformer: Transformer;
  /** Puts a key in the file that was made because there was none; to be done before anything is written. */
  keep(): Promise<void>;
  /** Encrypts what is plain or has an older key; drops older keys of a file of Keelson's own. Resolves with how many values. */
  finish(store: Store): Promise<number>;
  /** Changes to a new key. Calls at one time share one change. */
  rotate(store: Store): Promise<Rotation>;
  /** Says of a store that could not be opened which file lacks a key. */
  explain(error: unknown): unknown;
}

export interface Rotation {
  /** The name of the new key. */
  key: string;
  /** Values that were encrypted anew. */
  rewritten: number;
}

const newKey = () => ({ id: `key-${randomBytes(4).toString('hex')}`, secret: randomBytes(32) });

/**
 * Reads the keys in `file`, or makes one for Secrets if there is no such file and it is Keelson's `own`. Throws a ConfigurationError
 * of one sentence that names the file.
 */
export async function loadEncryption(file: string, own: boolean): Promise<Encryption> {
  const text = await readIfThere(file);
  if (text === undefined && !own)
    throw new ConfigurationError(`The file with encryption keys, ${file}, is missing.`);
  let rules: EncryptionRule[] =
    text === undefined
      ? [{ resources: ['secrets'], keys: [newKey()], readPlain: true }]
      : parseEncryption(text, file);
  let choose = chooser(rules);
  let rotating: Promise<Rotation> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  /** Who drops keys must not meet who adds one. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done;
    return done;
  };

  const use = (next: EncryptionRule[]) => {
    rules = next;
    choose = chooser(next);
  };
  const save = (next: EncryptionRule[]) => writeFileAtomic(file, renderEncryption(next));
  const mapKeys = (change: (keys: EncryptionRule['keys']) => EncryptionRule['keys']) =>
    rules.map((rule) => (rule.keys.length === 0 ? rule : { ...rule, keys: change(rule.keys) }));

  async function dropOldKeys(): Promise<void> {
    if (rules.every(({ keys }) => keys.length < 2)) return;
    const next = mapKeys(([first]) => [first!]);
    await save(next);
    use(next);
  }

  const reencode = async (store: Store): Promise<number> => (await store.reencode?.()) ?? 0;

  async function rotate(store: Store): Promise<Rotation> {
    const key = newKey();
    const next = mapKeys((keys) => [key, ...keys]);
    // On disk before anything is encrypted with it, and the old ones until nothing is any more.
    await save(next);
    use(next);
    const rewritten = await reencode(store);
    await dropOldKeys();
    return { key: key.id, rewritten };
  }

  return {
    transformer: resourceTransformer((resource) => choose(resource)),
    keep: async () => {
      if (text === undefined) await save(rules);
    },
    finish: (store) =>
      inTurn(async () => {
        const count = await reencode(store);
        if (own) await dropOldKeys();
        return count;
      }),
    rotate(store) {
      rotating ??= inTurn(() => rotate(store)).finally(() => {
        rotating = undefined;
      });
      return rotating;
    },
    explain(error) {
      if (!(error instanceof StoreError) || error.kind !== 'undecipherable') return error;
      const what = text === undefined ? `${file} is missing` : `the keys are in ${file}`;
      return new StoreError(error.kind, `${error.message} (${what}): put the right file back.`, {
        cause: error,
      });
    },
  };
}

/** By `<group>/<plural>` of the store; the first rule that names a resource counts. */
function chooser(rules: EncryptionRule[]): (resource: string) => Transformer | undefined {
  const compiled = rules.map(({ resources, keys, readPlain }) => ({
    resources,
    transformer: keys.length === 0 ? undefined : aesTransformer(keys, { readPlain }),
  }));
  const known = new Map<string, Transformer | undefined>();
  return (resource) => {
    if (known.has(resource)) return known.get(resource);
    const rule = compiled.find(({ resources }) => resources.some((pattern) => matches(pattern, resource)));
    known.set(resource, rule?.transformer);
    return rule?.transformer;
  };
}

/** `secrets`, `deployments.apps`, `*.` (all of the core group), `*.apps`, `*.*`. */
function matches(pattern: string, resource: string): boolean {
  const [group, plural] = resource.split('/') as [string, string];
  const dot = pattern.indexOf('.');
  const [wanted, ofGroup] = dot < 0 ? [pattern, ''] : [pattern.slice(0, dot), pattern.slice(dot + 1)];
  if (ofGroup !== '*' && ofGroup !== (group === 'core' ? '' : group)) return false;
  return wanted === '*' || wanted === plural;
}

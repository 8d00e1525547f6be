/** One object and those who write it. */
import assert from 'node:assert/strict';
import { applyConfiguration, type Target, trackUpdate } from '../../../../src/api/apply/index.js';
import { deepFreeze, type KubeObject } from '../../../../src/api/machinery/types.js';

export const CONFIG_MAP: Target = { apiVersion: 'v1', kind: 'ConfigMap', subresource: '' };
export const DEPLOYMENT: Target = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  subresource: '',
  filter: { exclude: { 'f:status': {} } },
};
export const STATUS: Target = { ...DEPLOYMENT, subresource: 'status', filter: { exclude: { 'f:spec': {} } } };

/** One object and all its writers; each write is a second later. */
export class World {
  live: KubeObject | undefined;
  #second = 0;

  constructor(
    readonly target: Target,
    readonly base: object = {},
  ) {}

  #now(): string {
    return `2026-01-01T00:00:${String(this.#second++).padStart(2, '0')}Z`;
  }

  #object(rest: object): KubeObject {
    const { apiVersion, kind } = this.target;
    const { metadata, ...others } = rest as any;
    return { apiVersion, kind, metadata: { name: 'x', ...metadata }, ...others };
  }

  #store(object: KubeObject): KubeObject {
    const metadata = { uid: 'u', ...object.metadata };
    this.live = deepFreeze(JSON.parse(JSON.stringify({ ...object, metadata })));
    return this.live!;
  }

  /** `change` gets a copy of what there is. */
  update(manager: string, change: (draft: any) => void, target = this.target): KubeObject {
    const draft = this.live ? JSON.parse(JSON.stringify(this.live)) : this.#object(this.base);
    change(draft);
    const managedFields = trackUpdate(target, this.live, draft, { manager, now: this.#now() });
    return this.#store({ ...draft, metadata: { ...draft.metadata, managedFields } });
  }

  apply(manager: string, config: object, force = false, target = this.target): KubeObject {
    return this.#store(
      applyConfiguration(target, this.live, this.#object(config), { manager, force, now: this.#now() }),
    );
  }

  /** `{"kubectl Apply": fields}`; an update's subresource follows it. */
  get owners(): Record<string, unknown> {
    const entries = (this.live?.metadata.managedFields ?? []).map(
      ({ manager, operation, subresource, fieldsV1 }) => [
        [manager, operation, subresource].filter(Boolean).join(' '),
        fieldsV1,
      ],
    );
    return Object.fromEntries(entries);
  }

  get times(): Record<string, string | undefined> {
    return Object.fromEntries(
      (this.live?.metadata.managedFields ?? []).map(({ manager, time }) => [manager, time?.slice(-3)]),
    );
  }

  get data(): unknown {
    return this.live?.['data'];
  }
}

export const data = (...keys: string[]) => ({
  'f:data': Object.fromEntries(keys.map((key) => [key === '.' ? key : `f:${key}`, {}])),
});
export const refusal = (code: number, message: string, causes?: object[]) => (error: any) => {
  assert.equal(error.code, code, error.message);
  assert.equal(error.message, message);
  if (causes) assert.deepEqual(error.details, { causes });
  return true;
};

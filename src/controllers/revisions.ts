/** ControllerRevisions: the templates that a DaemonSet or StatefulSet has had (upstream `controller/history`). */
import type { ControllerRevision, LabelSelector, PodTemplateSpec } from '#types';
import { isReason } from '../api/machinery/status.js';
import { deepFreeze, type KubeObject } from '../api/machinery/types.js';
import type { Resource } from '../api/resources/define.js';
import { controllerRevisions } from '../api/resources/index.js';
import type { Informer } from '../client/index.js';
import type { Context } from './context.js';
import { templateHash } from './deployment/hash.js';
import { CONTROLLER_INDEX, claim, controllerIndex, controllerRef, orphansOf } from './owners.js';

/** The label of pods that tells their revision. */
export const REVISION_LABEL = 'controller-revision-hash';

/** What has revisions. */
export interface Revised extends KubeObject {
  spec: { selector: LabelSelector; template: PodTemplateSpec; revisionHistoryLimit?: number };
  status?: { collisionCount?: number };
}

export interface History {
  /** The revision of the template as it is now. */
  current: ControllerRevision;
  /** The others, oldest first. */
  old: ControllerRevision[];
  collisionCount: number | undefined;
}

export interface RevisionRules {
  /** The label of a revision that holds its hash. */
  hashLabel: string;
}

/** The revisions of one kind of workload. */
export class Revisions<O extends KubeObject> {
  readonly informer: Informer<ControllerRevision>;
  readonly #context: Context;
  readonly #resource: Resource<O>;
  readonly #hashLabel: string;

  constructor(context: Context, resource: Resource<O>, { hashLabel }: RevisionRules) {
    this.#context = context;
    this.#resource = resource;
    this.#hashLabel = hashLabel;
    this.informer = context.informers.of(controllerRevisions, {
      indexes: { [CONTROLLER_INDEX]: controllerIndex },
    });
  }

  /** Makes sure that the present template has a revision, the highest of all, and finds the others. */
  async history(owner: O): Promise<History> {
    const all = (await this.#claimed(owner)).sort(byRevision);
    const data = revisionData(specOf(owner).template);
    const text = textOf(data);
    const equal = all.filter((revision) => textOf(revision.data) === text);
    const next = (all.at(-1)?.revision ?? 0) + 1;
    const { collisionCount } = (owner as unknown as Revised).status ?? {};
    const same = equal.at(-1);
    if (same === undefined) {
      const created = await this.#create(owner, data, next, collisionCount);
      return { ...created, old: all };
    }
    const old = all.filter((revision) => revision !== same);
    if (same === all.at(-1)) return { current: same, old, collisionCount };
    const current = await this.#context.client
      .of(controllerRevisions)
      .update({ ...same, revision: next } as ControllerRevision);
    return { current, old, collisionCount };
  }

  /**
   * Deletes what is more than the limit of the old revisions that are not in use, oldest first. `all`: those in
   * use count as well.
   */
  async truncate(
    owner: O,
    old: ControllerRevision[],
    isLive: (r: ControllerRevision) => boolean,
    all = false,
  ): Promise<void> {
    const unused = old.filter((revision) => !isLive(revision));
    const excess = (all ? old : unused).length - (specOf(owner).revisionHistoryLimit ?? 10);
    for (const revision of unused.slice(0, Math.max(0, excess))) {
      const { namespace = '', name } = revision.metadata;
      try {
        await this.#context.client.of(controllerRevisions).delete(namespace, name);
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
  }

  #claimed(owner: O): Promise<ControllerRevision[]> {
    const own = this.informer.byIndex(CONTROLLER_INDEX, owner.metadata.uid ?? '');
    const orphans = this.informer.byIndex(CONTROLLER_INDEX, orphansOf(owner.metadata.namespace ?? ''));
    return claim<O, ControllerRevision>({
      client: this.#context.client,
      owner,
      ownerResource: this.#resource,
      selector: specOf(owner).selector,
      resource: controllerRevisions,
      candidates: [...own, ...orphans],
    });
  }

  /** A name that another template has taken is avoided by counting collisions. */
  async #create(owner: O, data: unknown, revision: number, collisionCount: number | undefined) {
    const { template } = specOf(owner);
    const { name: ownerName, namespace = '', annotations } = owner.metadata;
    for (let count = collisionCount; ; count = (count ?? 0) + 1) {
      const hash = templateHash(template, count);
      const name = `${ownerName.slice(0, 223)}-${hash}`;
      try {
        const current = await this.#context.client.of(controllerRevisions).create(
          deepFreeze({
            apiVersion: 'apps/v1',
            kind: 'ControllerRevision',
            metadata: {
              name,
              namespace,
              labels: { ...template.metadata?.labels, [this.#hashLabel]: hash },
              ...(annotations ? { annotations: { ...annotations } } : {}),
              ownerReferences: [controllerRef(owner)],
            },
            data,
            revision,
          }) as ControllerRevision,
        );
        return { current, collisionCount: count };
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
        const taken = await this.#context.client.of(controllerRevisions).get(namespace, name);
        const isOurs = taken.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid);
        if (isOurs && textOf(taken.data) === textOf(data)) return { current: taken, collisionCount: count };
      }
    }
  }
}

const specOf = (owner: KubeObject): Revised['spec'] => (owner as unknown as Revised).spec;

export const byRevision = (a: ControllerRevision, b: ControllerRevision): number =>
  (a.revision ?? 0) - (b.revision ?? 0) ||
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name);

/**
 * What a revision holds: a strategic merge patch that brings the template back. Its keys are in order, because
 * `kubectl rollout undo` compares it byte by byte with one that it makes itself.
 */
export function revisionData(template: PodTemplateSpec): unknown {
  return sorted({ spec: { template: { ...template, $patch: 'replace' } } });
}

/** The template that a revision holds. */
export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { $patch: _, ...template } = (revision.data as any).spec.template;
  return template;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, field]) => [key, sorted(field)]));
}

const texts = new WeakMap<object, string>();

function textOf(data: unknown): string {
  const known = texts.get(data as object);
  if (known !== undefined) return known;
  const text = JSON.stringify(sorted(data));
  texts.set(data as object, text);
  return text;
}

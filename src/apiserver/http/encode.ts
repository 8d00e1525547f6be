/** Results as JSON bytes: objects, lists, tables, partial metadata and watch events. */
import { toJson } from '../../api/machinery/json.js';
import type { KubeList, KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import type { Stored } from '../../store/store.js';
import type { ListPage, WatchMessage } from '../context.js';
import { eventProtobuf } from './encode-protobuf.js';
import type { Accepted } from './media-types.js';
import { type Include, toTable } from './table.js';

const NEWLINE = Buffer.from('\n');
const COMMA = Buffer.from(',');
const OPEN = Buffer.from('{');

/** What decides the form of an object besides what the client accepts. */
export interface EncodeContext {
  resource: Resource | undefined;
  accepted: Accepted;
  include: Include;
  /** Milliseconds, for ages in tables. */
  now: number;
}

/** Only its metadata, as `PartialObjectMetadata`. */
export function toPartial(object: KubeObject, version: Accepted['version']): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}

/** The list as an object; its items are the stored, frozen ones. */
export function toList(resource: Resource, page: ListPage): KubeList {
  return {
    kind: resource.listKind,
    apiVersion: resource.apiVersion,
    metadata: listMetadata(page),
    items: page.items.map((stored) => stored.object),
  };
}

export function listMetadata(page: ListPage): KubeList['metadata'] {
  return {
    resourceVersion: String(page.revision),
    ...(page.continue === undefined ? {} : { continue: page.continue }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
}

const isStatus = (object: KubeObject) => object.kind === 'Status' && object.apiVersion === 'v1';

/** An object in the form that the client accepts. */
export function shapeObject(
  object: KubeObject,
  { resource, accepted, include, now }: EncodeContext,
): unknown {
  if (accepted.form === 'object' || isStatus(object)) return object;
  if (accepted.form === 'partial') return toPartial(object, accepted.version);
  return toTable(resource, [object], { resourceVersion: object.metadata.resourceVersion }, accepted.version, {
    include,
    now,
    header: true,
  });
}

/** A list in the form that the client accepts, where that is not made of the stored bytes. */
export function shapeList(page: ListPage, { resource, accepted, include, now }: EncodeContext): unknown {
  const objects = page.items.map((stored) => stored.object);
  if (accepted.form === 'table')
    return toTable(resource, objects, listMetadata(page), accepted.version, { include, now, header: true });
  if (accepted.form === 'partial')
    return {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${accepted.version}`,
      metadata: listMetadata(page),
      items: objects.map((object) => toPartial(object, accepted.version)),
    };
  // The list tells the type of its items.
  return { ...toList(resource!, page), items: objects.map(({ apiVersion: _v, kind: _k, ...rest }) => rest) };
}

/** The stored bytes of an object as a JSON document. */
export const objectJson = (stored: Stored): Buffer => Buffer.concat([stored.json, NEWLINE]);

/** A list from the stored bytes of its items, which leave out the apiVersion and kind that the list tells. */
export function listJson(resource: Resource, page: ListPage): Buffer {
  const head = `{"kind":"${resource.listKind}","apiVersion":"${resource.apiVersion}","metadata":${JSON.stringify(listMetadata(page))},"items":[`;
  const prefix = Buffer.from(`{"apiVersion":"${resource.apiVersion}","kind":"${resource.kind}",`);
  const parts: Buffer[] = [Buffer.from(head)];
  page.items.forEach(({ json }, i) => {
    if (i > 0) parts.push(COMMA);
    if (json.subarray(0, prefix.length).equals(prefix)) parts.push(OPEN, json.subarray(prefix.length));
    else parts.push(json);
  });
  parts.push(Buffer.from(']}\n'));
  return Buffer.concat(parts);
}

/** Watch events that were encoded lately: all watchers of an event send the same bytes. */
class EventCache {
  readonly #bytes = new Map<Stored, Map<string, Buffer>>();

  get(stored: Stored, form: string, encode: () => Buffer): Buffer {
    let forms = this.#bytes.get(stored);
    if (!forms) {
      forms = new Map();
      this.#bytes.set(stored, forms);
      if (this.#bytes.size > 512) this.#bytes.delete(this.#bytes.keys().next().value!);
    }
    let bytes = forms.get(form);
    if (!bytes) {
      bytes = encode();
      forms.set(form, bytes);
    }
    return bytes;
  }
}

const cache = new EventCache();

/** One event of a watch in the form that the client accepts. `first` asks a table for its column definitions. */
export function eventBytes(message: WatchMessage, ctx: EncodeContext, first: boolean): Buffer {
  const { accepted } = ctx;
  if (accepted.format !== 'protobuf') return eventJson(message, ctx, first);
  if (!message.stored) return eventProtobuf(message, accepted);
  const form = accepted.form === 'partial' ? `partial ${accepted.version}` : '';
  return cache.get(message.stored, `${message.type} protobuf ${form}`, () =>
    eventProtobuf(message, accepted),
  );
}

/** One line of a watch. */
export function eventJson(message: WatchMessage, ctx: EncodeContext, first: boolean): Buffer {
  const { type, stored } = message;
  if (stored && ctx.accepted.form === 'object')
    return cache.get(stored, type, () =>
      Buffer.concat([Buffer.from(`{"type":"${type}","object":`), stored.json, Buffer.from('}\n')]),
    );
  if (stored && ctx.accepted.form === 'partial')
    return cache.get(stored, `${type} partial ${ctx.accepted.version}`, () => line(message, ctx, first));
  return line(message, ctx, first);
}

function line({ type, stored, object }: WatchMessage, ctx: EncodeContext, first: boolean): Buffer {
  const value = stored?.object ?? object!;
  let shaped: unknown = value;
  if (type !== 'ERROR' && ctx.accepted.form === 'partial') shaped = toPartial(value, ctx.accepted.version);
  if (type !== 'ERROR' && ctx.accepted.form === 'table')
    shaped = toTable(
      ctx.resource,
      type === 'BOOKMARK' ? [] : [value],
      { resourceVersion: value.metadata.resourceVersion },
      ctx.accepted.version,
      { include: ctx.include, now: ctx.now, header: first },
    );
  return Buffer.from(`${toJson({ type, object: shaped })}\n`);
}

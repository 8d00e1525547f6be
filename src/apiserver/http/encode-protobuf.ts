/** Results as protobuf: objects, lists, partial metadata and watch events. Each version is encoded once and keeps it. */
import type { KubeList, KubeObject } from '../../api/machinery/types.js';
import type { Resource } from '../../api/resources/define.js';
import { typeNameOf } from '../../api/schema/index.js';
import { encodeMessage, encodeProtobuf, fieldHead, inEnvelope } from '../../api/schema/protobuf/index.js';
import type { Stored } from '../../store/store.js';
import type { ListPage, WatchMessage } from '../context.js';
import { listMetadata, toPartial } from './encode.js';
import type { Accepted } from './media-types.js';

const ENCODING = 'protobuf';

/** The message of a stored object, kept with its version. */
function messageOf({ object, encodings }: Stored): Buffer {
  let bytes = encodings.get(ENCODING) as Buffer | undefined;
  if (!bytes) {
    bytes = encodeMessage(object, typeNameOf(object.apiVersion, object.kind));
    encodings.set(ENCODING, bytes);
  }
  return bytes;
}

export const objectProtobuf = (stored: Stored): Buffer =>
  inEnvelope(stored.object.apiVersion, stored.object.kind, [messageOf(stored)]);

/** Lists of every kind have their metadata in field 1 and their items in field 2. */
function list(apiVersion: string, kind: string, metadata: KubeList['metadata'], items: Buffer[]): Buffer {
  const meta = encodeMessage(metadata, 'meta/v1.ListMeta');
  const pieces: Uint8Array[] = [fieldHead(1, meta.length), meta];
  for (const item of items) pieces.push(fieldHead(2, item.length), item);
  return inEnvelope(apiVersion, kind, pieces);
}

export function listProtobuf(resource: Resource, page: ListPage): Buffer {
  return list(resource.apiVersion, resource.listKind, listMetadata(page), page.items.map(messageOf));
}

const partialMessage = ({ metadata }: KubeObject): Buffer =>
  encodeMessage({ metadata }, 'meta/v1.PartialObjectMetadata');

export function partialListProtobuf(page: ListPage, version: Accepted['version']): Buffer {
  const items = page.items.map(({ object }) => partialMessage(object));
  return list(`meta.k8s.io/${version}`, 'PartialObjectMetadataList', listMetadata(page), items);
}

/** An object that is no stored version. Throws for a kind without a protobuf form, which negotiation keeps out. */
export function valueProtobuf(value: { apiVersion: string; kind: string }): Buffer {
  const bytes = encodeProtobuf(value);
  if (!bytes) throw new Error(`no protobuf form of ${value.apiVersion} ${value.kind}`);
  return bytes;
}

/** A watch event in its frame: four bytes of length, then a `WatchEvent` around the object in its envelope. */
export function eventProtobuf({ type, stored, object }: WatchMessage, accepted: Accepted): Buffer {
  const raw =
    type !== 'ERROR' && accepted.form === 'partial'
      ? valueProtobuf(toPartial(stored?.object ?? object!, accepted.version))
      : stored
        ? objectProtobuf(stored)
        : valueProtobuf(object!);
  const name = Buffer.from(type);
  const rawHead = fieldHead(1, raw.length);
  const pieces = [fieldHead(1, name.length), name, fieldHead(2, rawHead.length + raw.length), rawHead, raw];
  const frame = Buffer.allocUnsafe(4);
  frame.writeUInt32BE(pieces.reduce((sum, piece) => sum + piece.length, 0));
  return Buffer.concat([frame, ...pieces]);
}

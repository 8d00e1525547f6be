/** Documents of discovery in the form that the client prefers: JSON or protobuf. */
import { encodeProtobuf } from '../../api/schema/protobuf/index.js';
import type { Call, Result } from '../context.js';
import { mediaRanges, PROTOBUF } from '../http/media-types.js';
import { json } from './index.js';

/** `document` is of a kind of meta/v1; its JSON may leave out the apiVersion. */
export function negotiated<T extends { kind: string }>(call: Call, document: T): Result {
  const [preferred] = mediaRanges(call.header('accept') ?? '').filter(
    ({ type, parameters }) =>
      parameters['as'] === undefined && (type === PROTOBUF || /^(application\/(json|\*)|\*\/\*)$/.test(type)),
  );
  if (preferred?.type !== PROTOBUF) return json(document);
  const body = encodeProtobuf({ ...document, apiVersion: 'v1' })!;
  return { type: 'raw', code: 200, headers: { 'content-type': PROTOBUF }, body };
}

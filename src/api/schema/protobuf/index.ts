/**
 * The API's protobuf form: `runtime.Unknown` around the object's message, behind the bytes `k8s\0`. Typed clients
 * such as `kubectl create namespace` send it.
 *
 * ```ts
 * const { apiVersion, kind, value } = decodeProtobuf(body);
 * const { object } = decode(apiVersion, kind, value, { mode: 'ignore' });
 * ```
 */
export { decodeProtobuf, isProtobuf, type ProtobufBody } from './decode.js';
export { encodeMessage, encodeProtobuf, fieldHead, inEnvelope } from './encode.js';

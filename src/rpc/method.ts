/** Turns generated message codecs into grpc-js method definitions. */
import type { MethodDefinition } from '@grpc/grpc-js';

interface Codec {
  encode(message: any): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** Which sides of a call are streams. */
interface Streams {
  up?: boolean;
  down?: boolean;
}

/** The maker of a service's methods: `method(name, request codec, response codec, which sides stream)`. */
export function methodsOf(service: string) {
  return <I, O>(
    name: string,
    request: Codec,
    response: Codec,
    { up = false, down = false }: Streams = {},
  ): MethodDefinition<I, O> => ({
    path: `/${service}/${name}`,
    requestStream: up,
    responseStream: down,
    requestSerialize: (message) => request.encode(message).finish() as Buffer,
    requestDeserialize: (bytes) => request.decode(bytes) as I,
    responseSerialize: (message) => response.encode(message).finish() as Buffer,
    responseDeserialize: (bytes) => response.decode(bytes) as O,
  });
}

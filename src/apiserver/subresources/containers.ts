/** Which container of a pod a request for logs or a session means. */
import type { Pod } from '#types';
import { badRequest, serviceUnavailable } from '../../api/machinery/status.js';
import type { NodeStreams } from '../../hub/node-streams.js';
import type { Context } from '../context.js';

const names = (list: { name: string }[] | undefined): string =>
  `[${(list ?? []).map((c) => c.name).join(' ')}]`;

/** The container that was asked for, or the only one. Throws 400 in upstream's words. */
export function chooseContainer(pod: Pod, asked: string): string {
  const { containers = [], initContainers, ephemeralContainers } = pod.spec ?? {};
  const name = pod.metadata?.name;
  if (asked !== '') {
    const all = [...containers, ...(initContainers ?? []), ...(ephemeralContainers ?? [])];
    if (!all.some((container) => container.name === asked))
      throw badRequest(`container ${asked} is not valid for pod ${name}`);
    return asked;
  }
  if (containers.length === 1) return containers[0]!.name;
  if (containers.length === 0) throw badRequest(`a container name must be specified for pod ${name}`);
  const inits = initContainers?.length ? ` or one of the init containers: ${names(initContainers)}` : '';
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: ${names(containers)}${inits}`,
  );
}

/** The way to the nodes. Throws 503 where there is none. */
export function requireStreams({ nodeStreams }: Context): NodeStreams {
  if (!nodeStreams) throw serviceUnavailable('no connection to the nodes');
  return nodeStreams;
}

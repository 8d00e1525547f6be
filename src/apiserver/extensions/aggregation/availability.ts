/** Whether the server behind an APIService can be used, in upstream's reasons and words. */
import type { APIService, APIServiceCondition, EndpointSlice } from '#types';
import { StatusError } from '../../../api/machinery/status.js';
import { findService, slicesOf } from '../../proxy/service.js';
import type { Reach } from '../../proxy/targets.js';
import { backendOf, type FrontProxy, fetchDocument, serviceOf, tlsOf } from './remote.js';

const TIMEOUT_MS = 5000;

export type Verdict = Pick<APIServiceCondition, 'status' | 'reason' | 'message'>;

const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });

/** Looks at what is known of the Service, and asks the server for a document that it must have. */
export async function checkAvailability(
  reach: Reach,
  apiService: APIService,
  proxy: FrontProxy | undefined,
): Promise<Verdict> {
  const target = serviceOf(apiService);
  const where = `service/${target.name} in ${JSON.stringify(target.namespace)}`;
  const service = findService(reach, target);
  if (!service) return no('ServiceNotFound', `${where} is not present`);
  if ((service.spec?.type ?? 'ClusterIP') === 'ClusterIP') {
    const port = service.spec?.ports?.find((p) => p.port === target.port);
    if (!port) return no('ServicePortError', `${where} is not listening on port ${target.port}`);
    const slices = await slicesOf(reach, target);
    if (slices.length === 0) return no('EndpointsNotFound', `cannot find endpointslices for ${where}`);
    const name = port.name ?? '';
    if (!slices.some((slice) => hasEndpoint(slice, name)))
      return no(
        'MissingEndpoints',
        `endpointslices for ${where} have no addresses with port name ${JSON.stringify(name)}`,
      );
  }
  const { group, version } = apiService.spec;
  const path = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const url = `https://${service.spec?.clusterIP || target.name}:${target.port}${path}`;
  const failed = (why: string) =>
    no('FailedDiscoveryCheck', `failing or missing response from ${url}: ${why}`);
  try {
    const backend = await backendOf(reach, apiService, tlsOf(apiService, proxy, false));
    const { code } = await fetchDocument(backend, path, 'application/json', TIMEOUT_MS);
    if (code < 200 || code >= 300) return failed(`bad status from ${url}: ${code}`);
  } catch (error) {
    return failed(whyOf(error, url));
  }
  return { status: 'True', reason: 'Passed', message: 'all checks passed' };
}

function whyOf(error: unknown, url: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const text =
    error instanceof StatusError ? message.replace(/^error trying to reach service: /, '') : message;
  return `Get ${JSON.stringify(url)}: ${text}`;
}

const hasEndpoint = ({ endpoints = [], ports = [] }: EndpointSlice, portName: string): boolean =>
  endpoints.some((e) => e.conditions?.ready !== false) &&
  ports.some((p) => (p.name ?? '') === portName && p.port !== undefined);

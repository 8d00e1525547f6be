/** pods/log: what a container wrote, as a stream of text. */
import type { Pod } from '#types';
import {
  type FieldError,
  forbidden,
  invalid as invalidField,
  notSupported,
} from '../../api/machinery/field.js';
import { invalid } from '../../api/machinery/status.js';
import type { LogRequest } from '../../hub/node-streams.js';
import type { Context, Result } from '../context.js';
import { requireStored } from '../handlers/get.js';
import { boolean, integer } from '../handlers/query.js';
import { chooseContainer, requireStreams } from './containers.js';

const TEXT = { 'content-type': 'text/plain' };

export async function getLog(ctx: Context): Promise<Result> {
  const pod = requireStored(ctx).object as unknown as Pod;
  const request = logRequest(ctx.call.query, pod);
  const node = pod.spec?.nodeName;
  if (!node) return { type: 'raw', code: 200, headers: TEXT, body: '' };
  const body = await requireStreams(ctx).logs(node, request, ctx.call.signal);
  return { type: 'raw', code: 200, headers: TEXT, body };
}

const STREAMS = ['All', 'Stderr', 'Stdout'];

/** Throws 400 and 422. */
export function logRequest(query: URLSearchParams, pod: Pod): LogRequest {
  const options = {
    tailLines: integer(query, 'tailLines'),
    limitBytes: integer(query, 'limitBytes'),
    sinceSeconds: integer(query, 'sinceSeconds'),
    sinceTime: query.get('sinceTime') ?? undefined,
    stream: query.get('stream') ?? undefined,
  };
  const errors = optionErrors(options);
  if (errors.length > 0) throw invalid('', 'PodLogOptions', pod.metadata?.name ?? '', errors);
  return {
    namespace: pod.metadata?.namespace ?? '',
    pod: pod.metadata?.name ?? '',
    uid: pod.metadata?.uid ?? '',
    container: chooseContainer(pod, query.get('container') ?? ''),
    follow: boolean(query, 'follow') ?? false,
    previous: boolean(query, 'previous') ?? false,
    timestamps: boolean(query, 'timestamps') ?? false,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
  };
}

function optionErrors(o: {
  tailLines?: number;
  limitBytes?: number;
  sinceSeconds?: number;
  sinceTime?: string;
  stream?: string;
}): FieldError[] {
  const errors: FieldError[] = [];
  if (o.tailLines !== undefined && o.tailLines < 0)
    errors.push(invalidField('tailLines', o.tailLines, 'must be greater than or equal to 0'));
  if (o.limitBytes !== undefined && o.limitBytes < 1)
    errors.push(invalidField('limitBytes', o.limitBytes, 'must be greater than 0'));
  if (o.sinceSeconds !== undefined && o.sinceTime !== undefined)
    errors.push(forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  else if (o.sinceSeconds !== undefined && o.sinceSeconds < 1)
    errors.push(invalidField('sinceSeconds', o.sinceSeconds, 'must be greater than 0'));
  if (o.sinceTime !== undefined && Number.isNaN(Date.parse(o.sinceTime)))
    errors.push(invalidField('sinceTime', o.sinceTime, 'must be an RFC 3339 time'));
  if (o.stream !== undefined && !STREAMS.includes(o.stream))
    errors.push(notSupported('stream', o.stream, STREAMS));
  else if (o.stream !== undefined && o.stream !== 'All' && o.tailLines !== undefined)
    errors.push(forbidden('', '`tailLines` and specific `stream` are mutually exclusive for now'));
  return errors;
}

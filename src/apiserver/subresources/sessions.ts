/** pods/exec, attach and portforward: checks the request and opens the session on the pod's node. */
import type { Pod } from '#types';
import { badRequest } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { ExecRequest, ExecSession } from '../../hub/node-streams.js';
import type { AdmissionRequest } from '../admission/admission.js';
import type { Context, Result } from '../context.js';
import { admissionRequest } from '../handlers/admission.js';
import { requireStored } from '../handlers/get.js';
import { boolean } from '../handlers/query.js';
import { chooseContainer, requireStreams } from './containers.js';

/** Without an upgrade there is nothing to stream over. */
export function upgradeRequired(ctx: Context): Result {
  requireStored(ctx);
  throw badRequest('Upgrade request required');
}

export interface OpenedSession {
  request: ExecRequest;
  session: ExecSession;
}

function nodeOf(pod: Pod): string {
  const node = pod.spec?.nodeName;
  if (!node) throw badRequest(`pod ${pod.metadata?.name} does not have a host assigned`);
  return node;
}

/** What the query of an exec or attach asks for. Throws 400. */
export function sessionRequest(query: URLSearchParams, pod: Pod, kind: 'exec' | 'attach'): ExecRequest {
  const tty = boolean(query, 'tty') ?? false;
  const request: ExecRequest = {
    namespace: pod.metadata?.namespace ?? '',
    pod: pod.metadata?.name ?? '',
    uid: pod.metadata?.uid ?? '',
    container: chooseContainer(pod, query.get('container') ?? ''),
    command: kind === 'exec' ? query.getAll('command') : [],
    stdin: boolean(query, 'stdin') ?? false,
    stdout: boolean(query, 'stdout') ?? false,
    // A terminal has one output stream.
    stderr: (boolean(query, 'stderr') ?? false) && !tty,
    tty,
  };
  if (kind === 'exec' && request.command.length === 0)
    throw badRequest('you must specify at least one command for the container');
  if (!request.stdin && !request.stdout && !request.stderr)
    throw badRequest('you must specify at least 1 of stdin, stdout, stderr');
  return request;
}

/** Rejects with the StatusError that the client gets before the upgrade. */
export async function openSession(
  ctx: Context,
  kind: 'exec' | 'attach',
  signal: AbortSignal,
): Promise<OpenedSession> {
  const pod = requireStored(ctx).object as unknown as Pod;
  const request = sessionRequest(ctx.call.query, pod, kind);
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed')
    throw badRequest(`cannot ${kind} into a container in a completed pod; current phase is ${phase}`);
  await admitConnect(ctx, kind === 'exec' ? 'PodExecOptions' : 'PodAttachOptions', {
    ...(request.stdin && { stdin: true }),
    ...(request.stdout && { stdout: true }),
    ...(request.stderr && { stderr: true }),
    ...(request.tty && { tty: true }),
    container: request.container,
    ...(kind === 'exec' && { command: request.command }),
  });
  const session = await requireStreams(ctx)[kind](nodeOf(pod), request, signal);
  return { request, session };
}

/** What is about to be opened, as admission sees it. */
export async function admitConnect(
  ctx: Context,
  kind: string,
  options: Record<string, unknown>,
): Promise<void> {
  const object = { kind, apiVersion: 'v1', ...options } as unknown as KubeObject;
  const request: AdmissionRequest = {
    ...admissionRequest(ctx, 'Create', { object, dryRun: false }),
    operation: 'CONNECT',
    options: undefined,
  };
  await ctx.admission.admit(request);
  await ctx.admission.validate(request);
}

/** Opens connections to ports of the request's pod. */
export function portForwarder(ctx: Context, signal: AbortSignal) {
  const pod = requireStored(ctx).object as unknown as Pod;
  const node = nodeOf(pod);
  const streams = requireStreams(ctx);
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  return (port: number) => streams.portForward(node, { namespace, pod: name, uid, port }, signal);
}

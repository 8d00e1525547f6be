/** serviceaccounts/token: the TokenRequest API (upstream `serviceaccount/storage.TokenREST`). */
import type { TokenRequest } from '#types';
import { invalid as invalidField } from '../../api/machinery/field.js';
import { badRequest, conflict, invalid, notFound, StatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import type { TokenRequest as IssueRequest } from '../../auth/tokens/service-account.js';
import type { Context, Result } from '../context.js';
import { admissionRequest } from '../handlers/admission.js';
import { decodeAs } from '../handlers/body.js';
import { requireStored } from '../handlers/get.js';

const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
/** What the kubelet asks for in a pod's automatic volume: such tokens live longer, for old clients that never read them again. */
const AUTOMATIC_SECONDS = 3607;
const EXTENDED_SECONDS = 365 * 86_400;

export async function createToken(ctx: Context): Promise<Result> {
  if (!ctx.tokens)
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
  const request = await decodeAs(ctx, 'authentication.k8s.io/v1', 'TokenRequest');
  const { name } = ctx.attributes;
  if (request.metadata.name && request.metadata.name !== name)
    throw badRequest('the name of the service account does not match that of the token request');
  const account = requireStored(ctx).object;
  const asked = admissionRequest(ctx, 'Create', { object: request });
  await ctx.admission.admit(asked);
  await ctx.admission.validate(asked);
  const spec = checkedSpec(request as unknown as TokenRequest, name);
  const status = await ctx.tokens.issue({
    namespace: ctx.attributes.namespace,
    name,
    uid: account.metadata.uid!,
    audiences: spec.audiences,
    ...lifetime(spec, ctx.tokens.audiences),
    ...boundTo(ctx, spec),
  });
  const { namespace, creationTimestamp } = { namespace: ctx.attributes.namespace, creationTimestamp: null };
  const object = {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name, namespace, creationTimestamp },
    spec: { ...spec, audiences: spec.audiences.length > 0 ? spec.audiences : ctx.tokens.audiences },
    status,
  };
  return { type: 'object', code: 201, object: object as unknown as KubeObject };
}

interface Spec {
  audiences: string[];
  expirationSeconds: number;
  boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
}

function checkedSpec({ spec }: TokenRequest, name: string): Spec {
  const expirationSeconds = spec?.expirationSeconds ?? DEFAULT_SECONDS;
  const fail = (why: string) =>
    invalid('authentication.k8s.io', 'TokenRequest', name, [
      invalidField('spec.expirationSeconds', expirationSeconds, why),
    ]);
  if (expirationSeconds < MIN_SECONDS) throw fail('may not specify a duration less than 10 minutes');
  if (expirationSeconds > MAX_SECONDS) throw fail('may not specify a duration larger than 2^32 seconds');
  return {
    audiences: spec?.audiences ?? [],
    expirationSeconds,
    ...(spec?.boundObjectRef ? { boundObjectRef: spec.boundObjectRef } : {}),
  };
}

function lifetime({ expirationSeconds, audiences, boundObjectRef }: Spec, own: string[]) {
  const automatic =
    expirationSeconds === AUTOMATIC_SECONDS &&
    boundObjectRef?.kind === 'Pod' &&
    audiences.every((audience) => own.includes(audience));
  return automatic
    ? { expirationSeconds: EXTENDED_SECONDS, warnAfterSeconds: expirationSeconds }
    : { expirationSeconds };
}

const BOUND: Record<string, { version: string; plural: string }> = {
  Pod: { version: 'v1', plural: 'pods' },
  Secret: { version: 'v1', plural: 'secrets' },
  Node: { version: 'v1', plural: 'nodes' },
};

/** The object that the token lives and dies with. Throws 400, 404 and 409. */
function boundTo(ctx: Context, { boundObjectRef: ref }: Spec): Pick<IssueRequest, 'bound' | 'node'> {
  if (!ref) return {};
  const known = BOUND[ref.kind ?? ''];
  if (!known || ref.apiVersion !== known.version)
    throw badRequest(`cannot bind token to object of type ${ref.apiVersion}, Kind=${ref.kind}`);
  const namespace = ref.kind === 'Node' ? '' : ctx.attributes.namespace;
  const object = ctx.store.get(`core/${known.plural}/${namespace}/${ref.name ?? ''}`)?.object;
  if (!object) throw notFound({ group: '', resource: known.plural }, ref.name ?? '');
  if (ref.kind === 'Pod' && object['spec'].serviceAccountName !== ctx.attributes.name)
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(ctx.attributes.name)} to pod running with different serviceaccount name.`,
    );
  if (ref.uid && ref.uid !== object.metadata.uid)
    throw conflict(
      { group: '', resource: known.plural },
      ref.name!,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const bound = { kind: ref.kind as 'Pod', name: ref.name!, uid: object.metadata.uid! };
  const node = ref.kind === 'Pod' && ctx.store.get(`core/nodes//${object['spec'].nodeName}`)?.object;
  return { bound, ...(node ? { node: { name: node.metadata.name, uid: node.metadata.uid! } } : {}) };
}

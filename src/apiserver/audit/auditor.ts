/**
 * Records who asked for what, and what came of it.
 * @see https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
import { randomUUID } from 'node:crypto';
import { microTimestamp } from '../../api/machinery/clock.js';
import { asStatusError } from '../../api/machinery/status.js';
import type { KubeObject } from '../../api/machinery/types.js';
import { parseYamlStrict } from '../../api/schema/index.js';
import type { Attributes, User } from '../../auth/user.js';
import type { Body, Call } from '../context.js';
import type { Answer, Steps } from '../core.js';
import { toList } from '../http/encode.js';
import { bareType } from '../http/media-types.js';
import { evaluate, type Policy, type Stage, type Verdict } from './policy.js';
import type { Sink } from './sink.js';

const NOBODY: User = { name: '', groups: [] };
const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const AUDIT_ID = /^[\x21-\x7e]{1,256}$/;

/** The id of a request: its own where the client gave one. */
export const auditIdOf = (given: string | undefined): string =>
  given !== undefined && AUDIT_ID.test(given) ? given : randomUUID();

export class Auditor {
  /** By level: how many requests were judged so. */
  readonly levels = new Map<string, number>();
  events = 0;

  constructor(
    private readonly policy: Policy,
    readonly sinks: Sink[],
    private readonly now: () => number,
  ) {}

  /** Undefined for a request that is not recorded. `attributes` has the user who authenticated. */
  begin(
    attributes: Attributes,
    call: Pick<Call, 'path' | 'rawQuery' | 'query' | 'remoteAddress' | 'header'>,
    id: string,
  ): AuditRecord | undefined {
    const record = this.#open(attributes, call, id);
    record?.received();
    return record;
  }

  #open(
    attributes: Attributes,
    call: Pick<Call, 'path' | 'rawQuery' | 'query' | 'remoteAddress' | 'header'>,
    id: string,
  ): AuditRecord | undefined {
    const verdict = evaluate(this.policy, attributes);
    this.levels.set(verdict.level, (this.levels.get(verdict.level) ?? 0) + 1);
    if (verdict.level === 'None') return undefined;
    const query = call.rawQuery ?? call.query.toString();
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: verdict.level,
      auditID: id,
      stage: '',
      requestURI: query === '' ? call.path : `${call.path}?${query}`,
      verb: attributes.verb,
      user: userInfo(attributes.user),
      sourceIPs: sourcesOf(call),
      userAgent: call.header('user-agent'),
      ...(attributes.isResource ? { objectRef: refOf(attributes) } : {}),
      requestReceivedTimestamp: microTimestamp(this.now()),
    };
    return new AuditRecord(event, verdict, attributes.user, (e) => this.#write(e), this.now);
  }

  /** A request that is from nobody: its credentials are no good. */
  unauthenticated(
    info: Omit<Attributes, 'user'>,
    call: Pick<Call, 'path' | 'rawQuery' | 'query' | 'remoteAddress' | 'header'>,
    id: string,
    attempted: readonly string[],
  ): void {
    this.#open({ ...info, user: NOBODY }, call, id)?.unauthenticated(attempted);
  }

  /** Prometheus text, under upstream's names. */
  metrics(): string[] {
    return [
      '# TYPE apiserver_audit_event_total counter',
      `apiserver_audit_event_total ${this.events}`,
      '# TYPE apiserver_audit_level_total counter',
      ...[...this.levels].map(([level, n]) => `apiserver_audit_level_total{level="${level}"} ${n}`),
      '# TYPE apiserver_audit_error_total counter',
      ...this.sinks.map((sink) => `apiserver_audit_error_total{plugin="${sink.name}"} ${sink.lost}`),
    ];
  }

  async close(): Promise<void> {
    await Promise.all(this.sinks.map((sink) => sink.close()));
  }

  #write(event: object): void {
    this.events++;
    const line = JSON.stringify(event);
    for (const sink of this.sinks) sink.write(event, line);
  }
}

export class AuditRecord {
  #complete = false;

  constructor(
    private event: Record<string, unknown>,
    private readonly verdict: Verdict,
    private readonly user: User,
    private readonly emit: (event: object) => void,
    private readonly now: () => number,
  ) {}

  /** What the core tells of the request on its way. */
  readonly steps: Steps = {
    identified: ({ user }, constraint) => {
      if (user.name !== this.user.name || user.groups.join() !== this.user.groups.join())
        this.#add({ impersonatedUser: userInfo(user) });
      if (constraint) this.#add({ authenticationMetadata: { impersonationConstraint: constraint } });
    },
    authorized: (reason) => this.#annotate('allow', reason),
    annotated: (key, value) => {
      const { annotations } = this.event as { annotations?: object };
      this.#add({ annotations: { ...annotations, [key]: value } });
    },
  };

  received(): void {
    this.#stage('RequestReceived');
  }

  /** The body, where the level asks for it. */
  requested(body: Body): void | Promise<void> {
    if (this.verdict.level === 'Metadata') return;
    if (body.type === 'bytes' && !/^$|json$/.test(bareType(body.contentType)))
      return decoded(body.bytes, bareType(body.contentType)).then((object) => this.#requested(object));
    this.#requested(objectOf(body));
  }

  #requested(requestObject: unknown): void {
    if (requestObject !== undefined) this.#add({ requestObject: this.#slim(requestObject) });
  }

  /** Of what takes long: its answer has begun. */
  started(code: number): void {
    this.#add({ responseStatus: { metadata: {}, code } });
    this.#stage('ResponseStarted');
  }

  answered({ result, resource }: Answer): void {
    const code = result.type === 'list' || result.type === 'watch' ? 200 : result.code;
    const object =
      result.type === 'object'
        ? (result.stored?.object ?? result.object)
        : result.type === 'list'
          ? toList(resource!, result.page)
          : undefined;
    const full = this.verdict.level === 'RequestResponse' && object !== undefined;
    this.#end({
      responseStatus: { metadata: {}, code },
      ...(full ? { responseObject: this.#slim(object) } : {}),
    });
  }

  failed(cause: unknown): void {
    const error = asStatusError(cause);
    const status = error.toStatus();
    if (error.code === 403 && this.event['annotations'] === undefined) this.#annotate('forbid', '');
    this.#end({
      responseStatus: status,
      ...(this.verdict.level === 'RequestResponse' ? { responseObject: status } : {}),
    });
  }

  /** `attempted`: by which ways it tried to say who it is from. */
  unauthenticated(attempted: readonly string[]): void {
    const how = attempted.length > 0 ? `attempted: ${attempted.join(', ')}` : 'no credentials provided';
    const message = `Authentication failed, ${how}`;
    this.#add({ responseStatus: { metadata: {}, code: 401, message } });
    this.#stage('ResponseStarted');
  }

  /** Of an upgraded connection, or one that its client has left. */
  ended(code: number): void {
    this.#end({ responseStatus: { metadata: {}, code } });
  }

  #end(more: object): void {
    if (this.#complete) return;
    this.#complete = true;
    this.#add(more);
    this.#stage('ResponseComplete');
  }

  #annotate(decision: string, reason: string): void {
    this.#add({
      annotations: { 'authorization.k8s.io/decision': decision, 'authorization.k8s.io/reason': reason },
    });
  }

  #add(more: object): void {
    this.event = { ...this.event, ...more };
  }

  #stage(stage: Stage): void {
    if (this.verdict.omitStages.includes(stage)) return;
    this.emit({ ...this.event, stage, stageTimestamp: microTimestamp(this.now()) });
  }

  #slim(value: unknown): unknown {
    return this.verdict.omitManagedFields ? withoutManagedFields(value as KubeObject) : value;
  }
}

const userInfo = ({ name, uid, groups, extra }: User) => ({
  username: name,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra ? { extra } : {}),
});

function refOf({ resource, namespace, name, group, version, subresource }: Attributes) {
  const ref = { resource, namespace, name, apiGroup: group, apiVersion: version, subresource };
  return Object.fromEntries(Object.entries(ref).filter(([, value]) => value !== ''));
}

/** Where it came from, with the proxies on its way. */
function sourcesOf({
  header,
  remoteAddress = '127.0.0.1',
}: Pick<Call, 'header' | 'remoteAddress'>): string[] {
  const forwarded = (header('x-forwarded-for') ?? '').split(',').map((ip) => ip.trim());
  return [...new Set([...forwarded.filter((ip) => ip !== ''), remoteAddress])];
}

/** YAML and protobuf as the JSON that they stand for; what is neither is not kept. */
async function decoded(bytes: Buffer, type: string): Promise<unknown> {
  try {
    if (type === PROTOBUF) {
      const { decodeProtobuf } = await import('../../api/schema/protobuf/index.js');
      return decodeProtobuf(bytes).value;
    }
    return /yaml$/.test(type) ? (await parseYamlStrict(bytes.toString())).value : undefined;
  } catch {
    return undefined;
  }
}

/** JSON as it came. */
function objectOf(body: Body): unknown {
  if (body.type === 'object') return body.value;
  if (body.type !== 'bytes') return undefined;
  try {
    return JSON.parse(body.bytes.toString());
  } catch {
    return undefined;
  }
}

function withoutManagedFields(object: any): unknown {
  if (Array.isArray(object?.items)) return { ...object, items: object.items.map(withoutManagedFields) };
  if (object?.metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

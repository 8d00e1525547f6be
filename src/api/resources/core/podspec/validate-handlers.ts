/** Validation of probes and lifecycle handlers. */
import type { HTTPGetAction, Lifecycle, LifecycleHandler, Probe, ProbeHandler } from '#types';
import {
  child,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../../machinery/field.js';
import * as names from '../../../machinery/names.js';
import { checked, validateNonnegative, validatePortNumOrName } from '../../../machinery/validation.js';

type Handler = ProbeHandler & LifecycleHandler;

export function validateProbe(
  kind: 'livenessProbe' | 'readinessProbe' | 'startupProbe',
  probe: Probe | undefined,
  path: string,
): FieldError[] {
  if (!probe) return [];
  const errors = validateHandler(probe, ['exec', 'httpGet', 'tcpSocket', 'grpc'], undefined, path);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const)
    errors.push(...validateNonnegative(probe[field], child(path, field)));
  const grace = probe.terminationGracePeriodSeconds;
  if (grace !== undefined && grace <= 0)
    errors.push(invalid(child(path, 'terminationGracePeriodSeconds'), grace, 'must be greater than 0'));
  if (kind !== 'readinessProbe' && probe.successThreshold !== 1)
    errors.push(invalid(child(path, 'successThreshold'), probe.successThreshold ?? 0, 'must be 1'));
  if (kind === 'readinessProbe' && grace !== undefined)
    errors.push(
      invalid(child(path, 'terminationGracePeriodSeconds'), grace, 'must not be set for readinessProbes'),
    );
  return errors;
}

export function validateLifecycle(
  lifecycle: Lifecycle | undefined,
  gracePeriod: number | undefined,
  path: string,
): FieldError[] {
  return (['postStart', 'preStop'] as const).flatMap((hook) =>
    lifecycle?.[hook]
      ? validateHandler(
          lifecycle[hook],
          ['exec', 'httpGet', 'tcpSocket', 'sleep'],
          gracePeriod,
          child(path, hook),
        )
      : [],
  );
}

function validateHandler(
  handler: Handler,
  kinds: readonly (keyof Handler)[],
  gracePeriod: number | undefined,
  path: string,
): FieldError[] {
  const given = kinds.filter((kind) => handler[kind]);
  if (given.length === 0) return [required(path, 'must specify a handler type')];
  return given.flatMap((kind, i) =>
    i > 0
      ? [forbidden(child(path, kind), 'may not specify more than 1 handler type')]
      : validateAction(handler, kind, gracePeriod, child(path, kind)),
  );
}

function validateAction(
  handler: Handler,
  kind: keyof Handler,
  gracePeriod: number | undefined,
  path: string,
): FieldError[] {
  switch (kind) {
    case 'exec':
      return handler.exec!.command?.length ? [] : [required(child(path, 'command'))];
    case 'httpGet':
      return validateHttpGet(handler.httpGet!, path);
    case 'tcpSocket':
      return validatePortNumOrName(handler.tcpSocket!.port, child(path, 'port'));
    case 'grpc':
      return validatePortNumOrName(handler.grpc!.port, child(path, 'port'));
    case 'sleep':
      return validateSleep(handler.sleep!.seconds ?? 0, gracePeriod, path);
  }
}

function validateHttpGet(action: HTTPGetAction, path: string): FieldError[] {
  const errors: FieldError[] = action.path ? [] : [required(child(path, 'path'))];
  errors.push(...validatePortNumOrName(action.port, child(path, 'port')));
  if (action.scheme !== 'HTTP' && action.scheme !== 'HTTPS')
    errors.push(notSupported(child(path, 'scheme'), action.scheme ?? '', ['HTTP', 'HTTPS']));
  for (const header of action.httpHeaders ?? [])
    errors.push(...checked(child(path, 'httpHeaders'), header.name ?? '', names.httpHeaderName));
  return errors;
}

function validateSleep(seconds: number, gracePeriod: number | undefined, path: string): FieldError[] {
  if (gracePeriod === undefined || (seconds >= 0 && seconds <= gracePeriod)) return [];
  const rule = `must be non-negative and less than terminationGracePeriodSeconds (${gracePeriod})`;
  return [invalid(path, seconds, rule)];
}

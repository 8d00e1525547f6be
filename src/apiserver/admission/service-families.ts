/**
 * Which IP families a Service has on a cluster of one or two (KEP-563; upstream `initIPFamilyFields`). Pure: changes the
 * draft that it is given.
 */
import type { Service } from '#types';
import { type FieldError, index, invalid as invalidField } from '../../api/machinery/field.js';
import { familyOf, type IpFamily, otherFamily } from '../../api/machinery/prefix.js';
import { invalid } from '../../api/machinery/status.js';
import { sameJson } from '../../api/machinery/validation.js';
import { validateClusterIps } from '../../api/resources/core/service-addresses.js';

const POLICY = 'spec.ipFamilyPolicy';

/** `configured`: the cluster's families, its default first. @throws 422 for what the cluster does not have. */
export function completeFamilies(service: Service, old: Service | undefined, configured: IpFamily[]): void {
  const { spec } = service;
  if (spec.type === 'ExternalName') return;
  spec.ipFamilyPolicy ??=
    old?.spec.ipFamilyPolicy ?? (isBareHeadless(service) ? 'RequireDualStack' : 'SingleStack');
  if (keepsPreference(service, old)) return;
  const refuse = (errors: FieldError[]) => {
    if (errors.length > 0) throw invalid('', 'Service', service.metadata.name ?? '', errors);
  };
  refuse(validateClusterIps(service));
  const errors = old ? releaseSecondary(service, old) : [];
  refuse([...errors, ...tooManyForSingle(service), ...inferFamilies(service, configured)]);
  if (isBareHeadless(service)) {
    if (!spec.ipFamilies?.length) spec.ipFamilies = [configured[0]!];
    if (spec.ipFamilyPolicy !== 'SingleStack') addSecond(service);
    return;
  }
  refuse(notConfigured(service, configured));
  if (!spec.ipFamilies?.length) spec.ipFamilies = [configured[0]!];
  if (spec.ipFamilyPolicy !== 'SingleStack' && configured.length === 2) addSecond(service);
}

/** Whoever writes the endpoints of such a Service may give addresses of either family. */
const isBareHeadless = ({ spec }: Service): boolean =>
  spec.clusterIP === 'None' && Object.keys(spec.selector ?? {}).length === 0;

/** What prefers two families is not changed by a cluster that has come to have one more or less. */
function keepsPreference({ spec }: Service, old: Service | undefined): boolean {
  return (
    old !== undefined &&
    old.spec.type !== 'ExternalName' &&
    spec.ipFamilyPolicy === 'PreferDualStack' &&
    old.spec.ipFamilyPolicy === 'PreferDualStack' &&
    sameJson(spec.clusterIPs ?? [], old.spec.clusterIPs ?? []) &&
    sameJson(spec.ipFamilies ?? [], old.spec.ipFamilies ?? [])
  );
}

/** To ask for a single family is enough; to leave the second out is not. */
function releaseSecondary({ spec }: Service, { spec: before }: Service): FieldError[] {
  if (spec.ipFamilyPolicy === 'SingleStack') {
    if (sameJson(spec.clusterIPs, before.clusterIPs)) spec.clusterIPs = spec.clusterIPs?.slice(0, 1);
    if (sameJson(spec.ipFamilies, before.ipFamilies)) spec.ipFamilies = spec.ipFamilies?.slice(0, 1);
    if (spec.clusterIPs === undefined) delete spec.clusterIPs;
    if (spec.ipFamilies === undefined) delete spec.ipFamilies;
    return [];
  }
  const reduced = (now: string[] | undefined, old: string[] | undefined) =>
    now !== undefined && now.length > 0 && now.length < (old?.length ?? 0);
  const must = (what: string) =>
    invalidField(POLICY, spec.ipFamilyPolicy, `must be 'SingleStack' to release the secondary ${what}`);
  return [
    ...(reduced(spec.clusterIPs, before.clusterIPs) ? [must('cluster IP')] : []),
    ...(reduced(spec.ipFamilies, before.ipFamilies) ? [must('IP family')] : []),
  ];
}

function tooManyForSingle({ spec }: Service): FieldError[] {
  if (spec.ipFamilyPolicy !== 'SingleStack') return [];
  const must = (what: string) =>
    invalidField(
      POLICY,
      spec.ipFamilyPolicy,
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
    );
  return [
    ...(spec.clusterIPs?.length === 2 ? [must('cluster IPs')] : []),
    ...(spec.ipFamilies?.length === 2 ? [must('IP families')] : []),
  ];
}

/** Cluster IPs tell the families that are not named. */
function inferFamilies({ spec }: Service, configured: IpFamily[]): FieldError[] {
  const ips = spec.clusterIPs ?? [];
  const errors: FieldError[] = [];
  for (const [i, ip] of ips.entries()) {
    if (ip === 'None') break;
    if (i < (spec.ipFamilies?.length ?? 0)) continue;
    const family = familyOf(ip);
    if (configured.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family];
    else
      errors.push(
        invalidField(index('spec.clusterIPs', i), ips, `${family} is not configured on this cluster`),
      );
  }
  return errors;
}

function notConfigured({ spec }: Service, configured: IpFamily[]): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.ipFamilyPolicy === 'RequireDualStack' && configured.length < 2)
    errors.push(
      invalidField(POLICY, spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'),
    );
  for (const [i, family] of (spec.ipFamilies ?? []).entries())
    if (!configured.includes(family as IpFamily))
      errors.push(invalidField(index('spec.ipFamilies', i), family, 'not configured on this cluster'));
  return errors;
}

function addSecond({ spec }: Service): void {
  const [first] = spec.ipFamilies as IpFamily[];
  if (spec.ipFamilies!.length === 1) spec.ipFamilies = [first!, otherFamily(first!)];
}

import assert from 'node:assert/strict';
import type { Service } from '#types';
import type { IpFamily } from '../../../src/api/machinery/prefix.js';
import type { StatusError } from '../../../src/api/machinery/status.js';
import { completeFamilies } from '../../../src/apiserver/admission/service-families.js';

const [V4, V6] = ['10.96.0.9', 'fd00:10:96::9'];
const SINGLE: IpFamily[] = ['IPv4'];
const DUAL: IpFamily[] = ['IPv4', 'IPv6'];
const SIX: IpFamily[] = ['IPv6', 'IPv4'];

type Spec = Partial<Service['spec']>;

const service = (spec: Spec): Service =>
  ({ metadata: { name: 's' }, spec: { type: 'ClusterIP', selector: { a: 'b' }, ...spec } }) as Service;

/** Policy and families, and cluster IPs that were given; or the messages of the refusal. */
function completed(spec: Spec, cluster: IpFamily[], before?: Spec): string {
  const draft = service(spec);
  try {
    completeFamilies(draft, before && service(before), cluster);
  } catch (error) {
    return (error as StatusError).message.replace('Service "s" is invalid: ', '');
  }
  const { ipFamilyPolicy, ipFamilies = [], clusterIPs = [] } = draft.spec;
  return [ipFamilyPolicy, ipFamilies.join('+'), ...clusterIPs].join(' ');
}

const ip = (...clusterIPs: string[]): Spec => ({ clusterIP: clusterIPs[0]!, clusterIPs });
const policy = (ipFamilyPolicy: string): Spec => ({ ipFamilyPolicy });
const SINGLE_STACK = { ...policy('SingleStack'), ipFamilies: ['IPv4'], ...ip(V4) };
const BOTH = { ipFamilies: ['IPv4', 'IPv6'], ...ip(V4, V6) };

describe('IP families of a new Service', () => {
  for (const [what, spec, cluster, expected] of [
    ['one, of a cluster of one', {}, SINGLE, 'SingleStack IPv4'],
    ["one, the cluster's default", {}, SIX, 'SingleStack IPv6'],
    ['the one that is asked for', { ipFamilies: ['IPv6'] }, DUAL, 'SingleStack IPv6'],
    ['that of its address', ip(V6), DUAL, `SingleStack IPv6 ${V6}`],
    ['two where there are two', policy('PreferDualStack'), DUAL, 'PreferDualStack IPv4+IPv6'],
    ['one where there is one', policy('PreferDualStack'), SINGLE, 'PreferDualStack IPv4'],
    [
      'two, its own first',
      { ...policy('RequireDualStack'), ipFamilies: ['IPv6'] },
      DUAL,
      'RequireDualStack IPv6+IPv4',
    ],
    [
      'those of its addresses',
      { ...policy('PreferDualStack'), ...ip(V6, V4) },
      DUAL,
      `PreferDualStack IPv6+IPv4 ${V6} ${V4}`,
    ],
    [
      'both without selector and address',
      { ...ip('None'), selector: {} },
      SINGLE,
      'RequireDualStack IPv4+IPv6 None',
    ],
    [
      'one of them if it says so',
      { ...ip('None'), ...policy('SingleStack'), selector: {} },
      SIX,
      'SingleStack IPv6 None',
    ],
    ['one without address but with a selector', ip('None'), DUAL, 'SingleStack IPv4 None'],
    ['none of another name', { type: 'ExternalName' }, DUAL, ' '],
    [
      'not two where there is one',
      policy('RequireDualStack'),
      SINGLE,
      'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    ],
    [
      'none that the cluster has not',
      { ipFamilies: ['IPv6'] },
      SINGLE,
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    ],
    [
      'no address that the cluster has not',
      ip(V6),
      SINGLE,
      `spec.clusterIPs[0]: Invalid value: ["${V6}"]: IPv6 is not configured on this cluster`,
    ],
    [
      'not two addresses for one family',
      ip(V4, V6),
      DUAL,
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
    ],
    [
      'not two families for one',
      { ipFamilies: ['IPv4', 'IPv6'] },
      DUAL,
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    ],
    [
      'no address of another family than the one beside it',
      { ...ip(V4), ipFamilies: ['IPv6'] },
      DUAL,
      `spec.clusterIPs[0]: Invalid value: "${V4}": expected an IPv6 value as indicated by \`ipFamilies[0]\``,
    ],
  ] as [string, Spec, IpFamily[], string][])
    it(`are ${what}`, () => assert.equal(completed(spec, cluster), expected));
});

describe('IP families of a Service that changes', () => {
  const required = { ...policy('RequireDualStack'), ...BOTH };
  const preferred = { ...policy('PreferDualStack'), ipFamilies: ['IPv4'], ...ip(V4) };
  for (const [what, spec, before, expected] of [
    ['stay when nothing is said of them', ip(V4), SINGLE_STACK, `SingleStack IPv4 ${V4}`],
    [
      'become two',
      { ...SINGLE_STACK, ...policy('RequireDualStack') },
      SINGLE_STACK,
      `RequireDualStack IPv4+IPv6 ${V4}`,
    ],
    ['become one', { ...required, ...policy('SingleStack') }, required, `SingleStack IPv4 ${V4}`],
    [
      'stay one where two were preferred and not to be had',
      preferred,
      preferred,
      `PreferDualStack IPv4 ${V4}`,
    ],
    [
      'become two where they are required now',
      { ...preferred, ...policy('RequireDualStack') },
      preferred,
      `RequireDualStack IPv4+IPv6 ${V4}`,
    ],
    ['come with an address', { ...ip(V4) }, { type: 'ExternalName' }, `SingleStack IPv4 ${V4}`],
    [
      'do not become fewer by leaving one out',
      { ...required, ipFamilies: ['IPv4'], ...ip(V4) },
      required,
      '[spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be \'SingleStack\' to release the secondary cluster IP, spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be \'SingleStack\' to release the secondary IP family]',
    ],
  ] as [string, Spec, Spec, string][])
    it(what, () => assert.equal(completed(spec, DUAL, before), expected));
});

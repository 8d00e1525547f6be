/** What can be measured, by the names that the command line takes. */
import type { Result } from './report.js';

type Group = () => Promise<Result[]>;

/** Each group makes what it needs and takes it away; its module is loaded when it is run. */
export const GROUPS: Record<string, Group> = {
  up: async () => (await import('./up.js')).benchUp(),
  'api/requests': async () => (await import('./api/requests.js')).benchRequests(),
  'api/encodings': async () => (await import('./api/encodings.js')).benchEncodings(),
  'api/objects': async () => (await import('./api/objects.js')).benchObjects(),
  'node/pods': async () => (await import('./node/pods.js')).benchPods(),
  'node/density': async () => (await import('./node/density.js')).benchDensity(),
  'node/streams': async () => (await import('./node/streams.js')).benchStreams(),
  'node/images': async () => (await import('./node/images.js')).benchImages(),
  'network/services': async () => (await import('./network/services.js')).benchServices(),
  'network/throughput': async () => (await import('./network/throughput.js')).benchThroughput(),
  'network/ingress': async () => (await import('./network/ingress.js')).benchIngress(),
  'network/dns': async () => (await import('./network/dns.js')).benchDns(),
  'network/rollout': async () => (await import('./network/rollout.js')).benchRollout(),
};

/** All when none is named; `network` stands for all `network/…`. @throws Error for a name that there is not. */
export function chosen(names: string[]): string[] {
  const all = Object.keys(GROUPS);
  for (const name of names)
    if (!all.some((group) => fits(group, name)))
      throw new Error(`There is no group ${name}; there are: ${all.join(', ')}.`);
  return names.length === 0 ? all : all.filter((group) => names.some((name) => fits(group, name)));
}

const fits = (group: string, name: string) => group === name || group.startsWith(`${name}/`);

/** How the kernel leads packets on from link to link, in the network namespace of this process. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { IpFamily } from '../api/machinery/prefix.js';

const IPV6 = '/proc/sys/net/ipv6/conf';

/** Idempotent. @throws Error where the kernel has no such family. */
export async function enableForwarding(family: IpFamily): Promise<void> {
  if (family === 'IPv4') return writeFile('/proc/sys/net/ipv4/ip_forward', '1');
  await keepRouterAdvertisements();
  await writeFile(`${IPV6}/all/forwarding`, '1');
}

/** A machine that forwards takes no default route from routers' advertisements, unless it is told to. */
async function keepRouterAdvertisements(): Promise<void> {
  for (const link of await readdir(IPV6)) {
    const file = `${IPV6}/${link}/accept_ra`;
    if (link === 'all' || (await readFile(file, 'utf8').catch(() => '')).trim() !== '1') continue;
    await writeFile(file, '2').catch(() => {});
  }
}

/**
 * Of a link of ours that is not up yet. It has IPv6 also where new links have it off
 * (`net.ipv6.conf.default.disable_ipv6`). Its own address, by which it asks for neighbours, is nobody else's, and so is
 * not looked for on the link (a second in which nothing could be led on).
 */
export async function prepareIpv6(link: string): Promise<void> {
  for (const setting of ['disable_ipv6', 'accept_dad'])
    await writeFile(`${IPV6}/${link}/${setting}`, '0').catch(() => {});
}

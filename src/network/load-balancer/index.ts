/** Addresses of a load balancer pool that this node answers for: on its link, and announced to the neighbours by ARP or NDP. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Service } from '#types';
import { LOAD_BALANCER_NODE } from '../../api/resources/core/load-balancer.js';
import { type NetlinkOperation, native } from '../../runtime/native.js';
import type { ObjectSource } from '../dns/view.js';

export interface BalancerAddressesOptions {
  /** This node's name. */
  node: string;
  /** Its own addresses: the link that has one of them gets the others. */
  addresses: string[];
  /** Where it is written down which addresses were added. */
  stateDir: string;
  source: ObjectSource;
  logger: Logger;
}

/** What was added: kept on disk, so that it is removed also after the agent was killed. */
interface Added {
  link: string;
  addresses: string[];
}

/** When an address is announced again (ms). */
const REPEATS_MS = [1500, 4000];

const stateFile = (stateDir: string): string => join(stateDir, 'balancer-addresses.json');

/** Make it before `source` is told anything. */
export class BalancerAddresses {
  readonly #options: BalancerAddressesOptions;
  readonly #wanted = new Map<string, string[]>();
  #work = Promise.resolve();
  #synced = false;

  constructor(options: BalancerAddressesOptions) {
    this.#options = options;
    const { source, node } = options;
    source.on('services', (key, service?: Service) => {
      const before = this.#wanted.get(key)?.join() ?? '';
      const addresses = service ? addressesFor(service, node) : [];
      if (addresses.length > 0) this.#wanted.set(key, addresses);
      else this.#wanted.delete(key);
      if (addresses.join() !== before && this.#synced) this.#apply();
    });
    void source.synced('services').then(() => {
      this.#synced = true;
      this.#apply();
    });
  }

  /** What was added stays: pods run on, and connections to them. */
  close(): Promise<void> {
    return this.#work;
  }

  #apply(): void {
    this.#work = this.#work
      .then(() => this.#set([...new Set([...this.#wanted.values()].flat())]))
      .catch((error) =>
        this.#options.logger.error({ err: error }, 'addresses of the pool could not be set on the link'),
      );
  }

  /** Unless it has left meanwhile. */
  #announce(link: string, address: string): void {
    if (![...this.#wanted.values()].flat().includes(address)) return;
    native.announce(link, address).catch(() => {});
  }

  async #set(wanted: string[]): Promise<void> {
    const { stateDir, addresses, logger } = this.#options;
    const before = await read(stateDir);
    const gone = before?.addresses.filter((one) => !wanted.includes(one)) ?? [];
    if (before && gone.length > 0) await remove({ ...before, addresses: gone });
    if (wanted.length === 0) {
      await rm(stateFile(stateDir), { force: true });
      return;
    }
    const link = await linkOf(addresses);
    if (!link) throw new Error(`no link has the node's address ${addresses.join()}`);
    const added: Added = { link, addresses: wanted };
    await writeFile(stateFile(stateDir), JSON.stringify(added), { mode: 0o600 });
    await native.netlink(
      '',
      wanted.map(
        (one): NetlinkOperation => ({
          op: 'addAddress',
          name: link,
          address: one,
          deprecated: true,
          ignore: ['EEXIST'],
        }),
      ),
    );
    for (const one of wanted) {
      if (before?.addresses.includes(one)) continue;
      await native.announce(link, one);
      // A neighbour that has just learned another place for it believes no news for a second.
      for (const ms of REPEATS_MS) setTimeout(() => this.#announce(link, one), ms).unref();
      logger.info({ address: one, link }, 'this node answers for an address of the pool');
    }
  }
}

/** Addresses of the Service that the node was elected for. Pure. */
export function addressesFor({ metadata, spec, status }: Service, node: string): string[] {
  if (spec.type !== 'LoadBalancer' || metadata.annotations?.[LOAD_BALANCER_NODE] !== node) return [];
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
}

/** Removes what an agent that has ended left on the link. */
export async function removeBalancerAddresses(stateDir: string): Promise<void> {
  const added = await read(stateDir);
  if (!added) return;
  await remove(added);
  await rm(stateFile(stateDir), { force: true });
}

async function read(stateDir: string): Promise<Added | undefined> {
  try {
    return JSON.parse(await readFile(stateFile(stateDir), 'utf8'));
  } catch {
    return undefined;
  }
}

async function remove({ link, addresses }: Added): Promise<void> {
  const ignore = ['EADDRNOTAVAIL', 'ENODEV'];
  await native.netlink(
    '',
    addresses.map((one): NetlinkOperation => ({ op: 'deleteAddress', name: link, address: one, ignore })),
  );
}

async function linkOf(own: string[]): Promise<string | undefined> {
  const [links, addresses] = await Promise.all([native.listLinks(''), native.listAddresses('')]);
  const index = addresses.find(({ address }) => own.includes(address.split('/')[0]!))?.link;
  return links.find((link) => link.index === index)?.name;
}

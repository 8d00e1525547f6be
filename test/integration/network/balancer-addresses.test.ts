/** Addresses of a load balancer pool on a real link. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Service } from '#types';
import { BalancerAddresses, removeBalancerAddresses } from '../../../src/network/load-balancer/index.js';

const LINK = `klt${process.pid}`;
const OWN = '198.18.77.1';

describe("a load balancer pool's addresses", () => {
  let stateDir: string;
  before(() => {
    stateDir = mkdtempSync(join(tmpdir(), 'keelson-test-balancer-'));
    execFileSync('ip', ['link', 'add', LINK, 'type', 'bridge']);
    execFileSync('ip', ['address', 'add', `${OWN}/32`, 'dev', LINK]);
    execFileSync('ip', ['link', 'set', LINK, 'up']);
  });
  after(() => {
    execFileSync('ip', ['link', 'delete', LINK], { stdio: 'ignore' });
    rmSync(stateDir, { recursive: true, force: true });
  });

  const onLink = (): string[] => {
    const [link] = JSON.parse(execFileSync('ip', ['-j', '-4', 'address', 'show', LINK]).toString());
    return link.addr_info.map(({ local }: { local: string }) => local).filter((ip: string) => ip !== OWN);
  };
  const service = (ip: string, node: string): Service =>
    ({
      metadata: { name: ip, namespace: 'default', annotations: { 'keelson.dev/load-balancer-node': node } },
      spec: { type: 'LoadBalancer' },
      status: { loadBalancer: { ingress: [{ ip }] } },
    }) as unknown as Service;

  /** An agent's part that is told `services` at its start; `tell` tells more. */
  async function start(...services: Service[]) {
    let listener: (key: string, object: unknown) => void = () => {};
    const source = {
      get: () => undefined,
      on: (_: string, told: (key: string, object: any, old: any) => void) => {
        listener = (key, object) => told(key, object, undefined);
      },
      synced: () => Promise.resolve(),
    };
    const logger = pino({ level: 'silent' });
    const addresses = new BalancerAddresses({ node: 'n1', addresses: [OWN], stateDir, source, logger });
    const tell = async (key: string, object?: Service) => {
      listener(key, object);
      await addresses.close();
    };
    for (const one of services) listener(one.metadata.name!, one);
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await addresses.close();
    return { tell };
  }

  it('are on the link of the node that was elected, for as long as it is', async () => {
    const { tell } = await start(service('198.51.100.1', 'n1'), service('198.51.100.2', 'other'));
    assert.deepEqual(onLink(), ['198.51.100.1']);
    await tell('198.51.100.2', service('198.51.100.2', 'n1'));
    assert.deepEqual(onLink(), ['198.51.100.1', '198.51.100.2']);
    await tell('198.51.100.1', service('198.51.100.1', 'other'));
    assert.deepEqual(onLink(), ['198.51.100.2']);
  });

  it('that an agent before left are removed when they are not wanted, or the node goes', async () => {
    await start(service('198.51.100.3', 'n1'));
    assert.deepEqual(onLink(), ['198.51.100.3']);
    await removeBalancerAddresses(stateDir);
    assert.deepEqual(onLink(), []);
    await removeBalancerAddresses(stateDir);
  });
});

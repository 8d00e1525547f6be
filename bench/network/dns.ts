/** Questions to the cluster's DNS. */
import { createSocket } from 'node:dgram';
import { services } from '../../src/api/resources/index.js';
import { withCluster } from '../cluster.js';
import { rate, until } from '../load.js';
import { quantile, type Result } from '../report.js';
import { serviceOf } from './targets.js';

const SERVICES = 100;
const WINDOW = 64;
const QUESTIONS = 100_000;
const LOST_MS = 1000;

export function benchDns(): Promise<Result[]> {
  return withCluster({}, async ({ client }) => {
    await rate(SERVICES, 16, (i) => client.of(services).create(serviceOf(`named-${i}`)));
    const dns = await client.of(services).get('kube-system', 'kube-dns');
    const server = dns.spec.clusterIP!;
    const name = (i: number) => `named-${i % SERVICES}.default.svc.cluster.local`;
    await until('the last Service has a name', async () => {
      const { found } = await ask(server, 1, () => name(SERVICES - 1));
      return found > 0 ? true : undefined;
    });
    await ask(server, QUESTIONS / 10, name);
    const { perSecond, latencies, lost, found } = await ask(server, QUESTIONS, name);
    if (found + lost < QUESTIONS) throw new Error(`${QUESTIONS - found - lost} names were not found.`);
    return [
      { name: `DNS questions, ${WINDOW} at a time`, value: perSecond, unit: '/s' },
      { name: 'DNS question, p99', value: quantile(latencies, 0.99), unit: 'ms' },
      { name: 'DNS questions lost', value: lost, unit: '', target: 1 },
    ];
  });
}

/** A question for an A record. */
function question(id: number, name: string): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

interface Answered {
  perSecond: number;
  /** Milliseconds of each. */
  latencies: number[];
  lost: number;
  /** Answers that have an address. */
  found: number;
}

/** By UDP from one socket, `WINDOW` under way at a time. */
function ask(server: string, count: number, name: (i: number) => string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const sent = new Map<number, number>();
    const result = { perSecond: 0, latencies: [] as number[], lost: 0, found: 0 };
    const started = performance.now();
    let next = 0;
    const send = () => {
      while (next < count && sent.size < WINDOW) {
        const i = next++;
        sent.set(i & 0xffff, performance.now());
        socket.send(question(i & 0xffff, name(i)), 53, server);
      }
      if (sent.size > 0 || next < count) return;
      clearInterval(timer);
      socket.close();
      result.perSecond = count / ((performance.now() - started) / 1000);
      resolve(result);
    };
    const timer = setInterval(() => {
      for (const [id, at] of sent)
        if (performance.now() - at > LOST_MS) {
          sent.delete(id);
          result.lost++;
        }
      send();
    }, LOST_MS / 4);
    socket.on('message', (message) => {
      const id = message.readUInt16BE(0);
      const at = sent.get(id);
      if (at === undefined) return;
      sent.delete(id);
      result.latencies.push(performance.now() - at);
      if ((message[3]! & 15) === 0 && message.readUInt16BE(6) > 0) result.found++;
      send();
    });
    socket.on('error', reject);
    send();
  });
}

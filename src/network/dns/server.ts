/** The sockets of the DNS server: UDP and TCP on one address. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Resolve } from './resolver.js';
import { respond } from './respond.js';

export interface DnsServerOptions {
  address: string;
  port: number;
  resolve: Resolve;
}

const MAX_CONNECTIONS = 200;
/** So that no pod can take TCP from all others. */
const MAX_PER_CLIENT = 40;
const IDLE_MS = 10_000;
/** Questions of one connection that are worked on at once; more wait in it. */
const MAX_PIPELINED = 32;
/** Bytes of a question by TCP: far more than a name, its type and EDNS options take. */
const MAX_QUESTION = 4096;

export interface DnsServer {
  port: number;
  close(): Promise<void>;
}

/** Rejects when the address can't be bound, and then leaves nothing open. */
export async function listenDns({ address, port, resolve }: DnsServerOptions): Promise<DnsServer> {
  const connections = new Set<Socket>();
  const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  udp.on('message', (bytes, from) => {
    const answer = respond(bytes, false, resolve);
    const send = (message: Buffer | undefined) => message && sendUdp(udp, message, from.port, from.address);
    if (answer instanceof Promise) void answer.then(send);
    else send(answer);
  });
  const tcp = createServer((socket) => {
    const same = [...connections].filter(({ remoteAddress }) => remoteAddress === socket.remoteAddress);
    if (same.length >= MAX_PER_CLIENT) {
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, resolve);
  });
  tcp.maxConnections = MAX_CONNECTIONS;
  const close = async () => {
    for (const socket of connections) socket.destroy();
    await Promise.all([closeQuietly(udp), closeQuietly(tcp)]);
  };
  try {
    const bound = await bindUdp(udp, address, port);
    await bindTcp(tcp, address, bound);
    return { port: bound, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An asker that is gone, or a full queue: it will ask again. */
function sendUdp(socket: UdpSocket, message: Buffer, port: number, address: string): void {
  try {
    socket.send(message, port, address, () => undefined);
  } catch {
    // The socket was closed, or the port is 0.
  }
}

function bindUdp(socket: UdpSocket, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(socket.address().port);
    });
  });
}

function bindTcp(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve();
    });
  });
}

/** Also of one that was never opened, or is closed already. */
function closeQuietly(socket: UdpSocket | Server): Promise<void> {
  return new Promise((resolve) => {
    try {
      socket.close(() => resolve());
    } catch {
      resolve();
    }
  });
}

/** Each message has its length before it; answers may overtake each other (RFC 7766). */
function serveConnection(socket: Socket, resolve: Resolve): void {
  let received: Buffer = Buffer.alloc(0);
  let pending = 0;
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const answered = (message: Buffer | undefined) => {
    pending--;
    if (socket.destroyed) return;
    if (message)
      socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]));
    take();
  };
  /** Works on what has come in whole, as long as there is room. */
  const take = () => {
    while (received.length >= 2 && pending < MAX_PIPELINED && !socket.writableNeedDrain) {
      const length = received.readUInt16BE(0);
      if (length > MAX_QUESTION) return socket.destroy();
      if (received.length < 2 + length) break;
      const question = received.subarray(2, 2 + length);
      received = received.subarray(2 + length);
      pending++;
      const answer = respond(question, true, resolve);
      if (answer instanceof Promise) void answer.then(answered);
      else {
        pending--;
        if (answer)
          socket.write(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 255]), answer]));
      }
    }
    if (pending >= MAX_PIPELINED || socket.writableNeedDrain) socket.pause();
    else socket.resume();
  };
  socket.on('drain', take);
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    take();
  });
}

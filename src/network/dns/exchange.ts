/** One question to one other server, by UDP or TCP. */
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { FLAG } from './constants.js';
import { decodeMessage } from './decode.js';
import type { Message } from './message.js';
import { inLowerCase } from './names.js';

export interface Upstream {
  address: string;
  port: number;
}

/** @throws Error when there is no answer in time, or the server is not there. */
export type Exchange = (upstream: Upstream, query: Message, bytes: Buffer, ms: number) => Promise<Message>;

/** A socket of its own for each question, so that a forger has to guess its port too. */
export const exchangeUdp: Exchange = ({ address, port }, query, bytes, ms) =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      settle();
    };
    const fail = (error: Error) => end(() => reject(error));
    const timer = setTimeout(() => fail(new Error('timed out')), ms);
    socket.on('error', fail);
    socket.on('message', (received) => {
      const answer = answerTo(query, received);
      if (answer) end(() => resolve(answer));
    });
    // Connected: the kernel drops what others send, and tells when nobody listens.
    socket.on('connect', () => socket.send(bytes, (error) => error && fail(error)));
    socket.connect(port, address);
  });

export const exchangeTcp: Exchange = ({ address, port }, query, bytes, ms) =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    let received: Buffer = Buffer.alloc(0);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
      settle();
    };
    const fail = (error: Error) => end(() => reject(error));
    const timer = setTimeout(() => fail(new Error('timed out')), ms);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('closed without an answer')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = answerTo(query, received.subarray(2, 2 + received.readUInt16BE(0)));
      if (answer) end(() => resolve(answer));
      else fail(new Error('the answer is to another question, or malformed'));
    });
    socket.write(Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]));
  });

/** Undefined: not the answer that is waited for. */
function answerTo({ id, question }: Message, bytes: Buffer): Message | undefined {
  let answer: Message;
  try {
    answer = decodeMessage(bytes);
  } catch {
    return undefined;
  }
  if (answer.id !== id || (answer.flags & FLAG.QR) === 0) return undefined;
  const asked = answer.question;
  // Servers that refuse may leave the question out.
  if (!asked) return (answer.flags & 15) !== 0 ? answer : undefined;
  const same =
    inLowerCase(asked.name) === inLowerCase(question!.name) &&
    asked.type === question!.type &&
    asked.class === question!.class;
  return same ? answer : undefined;
}

/** Responses of HTTP/1.1, however their bytes come, and those that are none. */
import assert from 'node:assert/strict';
import { ResponseParser } from '../../../../src/network/ingress/response-parser.js';

interface Read {
  status?: number;
  headers?: string[];
  body: string;
  trailers?: object;
  isKept?: boolean;
  /** What came after the end. */
  rest: string;
  /** Whether it was whole when the connection ended. */
  isWhole: boolean;
}

/** Reads the text in pieces of that many bytes. */
function read(text: string, size: number, method = 'GET'): Read {
  const got: Read = { body: '', rest: '', isWhole: false };
  const parser = new ResponseParser({
    head: ({ status, rawHeaders, isKept }) => Object.assign(got, { status, headers: rawHeaders, isKept }),
    body: (piece) => {
      got.body += piece;
    },
    end: (trailers) => {
      got.trailers = { ...trailers };
    },
  });
  parser.expect(method);
  for (let i = 0; i < text.length; i += size)
    got.rest += parser.read(Buffer.from(text.slice(i, i + size), 'latin1'));
  got.isWhole = parser.close();
  return got;
}

const response = (headers: string, body = '', status = '200 OK') =>
  `HTTP/1.1 ${status}\r\n${headers}\r\n${body}`;

describe('responses of endpoints', () => {
  const good: [what: string, text: string, expected: Partial<Read>, method?: string][] = [
    [
      'of a length',
      response('Content-Length: 5\r\n', 'hello'),
      { body: 'hello', isKept: true, isWhole: true },
    ],
    [
      'of a length, with more behind',
      response('Content-Length: 2\r\n', 'okHTTP'),
      { body: 'ok', rest: 'HTTP', isWhole: true },
    ],
    ['that are cut off', response('Content-Length: 5\r\n', 'hel'), { body: 'hel', isWhole: false }],
    ['that end with the connection', response('', 'all'), { body: 'all', isKept: false, isWhole: true }],
    [
      'in chunks',
      response('Transfer-Encoding: Chunked\r\n', '3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n'),
      { body: 'abc0123456789', isKept: true, isWhole: true, trailers: {} },
    ],
    [
      'with trailers',
      response('Transfer-Encoding: chunked\r\n', '1\r\na\r\n0\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n'),
      { body: 'a', isWhole: true, trailers: { A: ['1', '3'], B: '2' } },
    ],
    ['in chunks, cut off', response('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n'), { isWhole: false }],
    [
      'to HEAD',
      response('Content-Length: 5\r\n'),
      { headers: ['Content-Length', '5'], body: '', isKept: true, isWhole: true },
      'HEAD',
    ],
    [
      'without a body',
      response('Content-Length: 5\r\n', '', '304 Not Modified'),
      { body: '', isWhole: true },
    ],
    [
      'after provisional ones',
      `${response('', '', '100 Continue')}${response('Link: x\r\n', '', '103 Early Hints')}${response('Content-Length: 1\r\n', 'x')}`,
      { status: 200, body: 'x', isWhole: true },
    ],
    [
      'that change the protocol',
      response('Upgrade: x\r\n', 'bytes', '101 Switching Protocols'),
      { status: 101, body: '', rest: 'bytes' },
    ],
    ['that close', response('Content-Length: 0\r\nConnection: close\r\n'), { isKept: false, isWhole: true }],
    [
      'of HTTP/1.0',
      'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx',
      { body: 'x', isKept: false, isWhole: true },
    ],
    [
      'of HTTP/1.0 that go on',
      'HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n',
      { isKept: true, isWhole: true },
    ],
    ['with bare line feeds', 'HTTP/1.1 200 OK\nContent-Length: 1\n\nx', { body: 'x', isWhole: true }],
    [
      'with a folded line',
      response('A: 1\r\n  2\r\nContent-Length: 0\r\n'),
      { headers: ['A', '1 2', 'Content-Length', '0'], isWhole: true },
    ],
    [
      'with one length twice',
      response('Content-Length: 1\r\nContent-Length: 1\r\n', 'x'),
      { headers: ['Content-Length', '1'], body: 'x' },
    ],
    [
      'with length and chunks: the chunks count, and nothing follows',
      response('Content-Length: 9\r\nTransfer-Encoding: chunked\r\n', '1\r\nx\r\n0\r\n\r\n'),
      { headers: ['Transfer-Encoding', 'chunked'], body: 'x', isKept: false, isWhole: true },
    ],
    ['without a reason', 'HTTP/1.1 204\r\n\r\n', { status: 204, isWhole: true }],
  ];
  for (const [what, text, expected, method] of good)
    it(`are read ${what}`, () => {
      for (let size = 1; size <= text.length; size++) {
        const got = read(text, size, method);
        const told = Object.fromEntries(Object.keys(expected).map((key) => [key, got[key as keyof Read]]));
        assert.deepEqual(told, expected, `in pieces of ${size}`);
      }
    });

  const bad: [what: string, text: string][] = [
    ['no status line', 'hello\r\n\r\n'],
    ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['two lengths', response('Content-Length: 1\r\nContent-Length: 2\r\n')],
    ['a list of lengths', response('Content-Length: 1, 1\r\n')],
    ['a negative length', response('Content-Length: -1\r\n')],
    ['another coding', response('Transfer-Encoding: gzip, chunked\r\n')],
    ['a header without a name', response(': x\r\n')],
    ['a space before the colon', response('A : x\r\n')],
    ['a bare carriage return', response('A: x\rB: y\r\n')],
    ['a zero byte', response('A: x\0\r\n')],
    ['a chunk without a size', response('Transfer-Encoding: chunked\r\n', 'x\r\n')],
    ['a chunk that is too long', response('Transfer-Encoding: chunked\r\n', '1\r\nabc\r\n')],
    ['endless headers', response(`A: ${'x'.repeat(70_000)}\r\n`)],
    ['headers without an end', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(70_000)}`],
    ['an endless chunk line', response('Transfer-Encoding: chunked\r\n', `1;${'x'.repeat(5000)}`)],
  ];
  for (const [what, text] of bad)
    it(`are refused with ${what}`, () => {
      assert.throws(() => read(text, text.length), /^Error: the endpoint answered/);
    });
});

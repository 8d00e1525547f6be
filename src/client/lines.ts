/** JSON documents from a stream, one a line: how watches come over HTTP. */

const NEWLINE = 0x0a;

/** Yields each line's value; throws when a line is longer than `maxBytes` or is no JSON. */
export async function* jsonLines(stream: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<unknown> {
  let parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      parts.push(chunk.subarray(start, end));
      const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = [];
      size = 0;
      start = end + 1;
      if (line.length > maxBytes) throw new Error(`an event is longer than ${maxBytes} bytes`);
      if (line.length > 0) yield JSON.parse(line.toString('utf8'));
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > maxBytes) throw new Error(`an event is longer than ${maxBytes} bytes`);
  }
}

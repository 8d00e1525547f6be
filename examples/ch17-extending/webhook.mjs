// An admission webhook for LoadTests: /validate refuses those that are too big, /mutate labels the others.
//   node webhook.mjs KEY CERTIFICATE
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

const RATE_OF_A_PATH = 100;
const [key, cert] = process.argv.slice(2).map((path) => readFileSync(path));

function validate({ object: { spec } }) {
  const paths = Math.max(spec.paths?.length ?? 0, 1);
  const most = paths * RATE_OF_A_PATH;
  if (spec.requestsPerSecond <= most) return { allowed: true };
  const message = `${spec.requestsPerSecond} requests per second are too many for ${paths} paths: at most ${most}`;
  return { allowed: false, status: { message } };
}

function mutate({ object: { metadata, spec } }) {
  const size = spec.requestsPerSecond > 1000 ? 'big' : 'small';
  const patch = [{ op: 'add', path: '/metadata/labels', value: { ...metadata.labels, size } }];
  return { allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
}

const server = createServer({ key, cert }, async (request, answer) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { apiVersion, kind, request: asked } = JSON.parse(Buffer.concat(chunks));
  const decide = request.url.startsWith('/mutate') ? mutate : validate;
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify({ apiVersion, kind, response: { uid: asked.uid, ...decide(asked) } }));
});
server.listen(0, '127.0.0.1', () => {
  console.log(`pid ${process.pid}\nlistening on ${server.address().port}`);
});

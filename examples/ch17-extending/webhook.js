// A validating admission webhook: pods may not use images by the tag `latest`, which names another image tomorrow.
// It needs Node alone. TLS_CERT and TLS_KEY are PEM; the certificate is for <service>.<namespace>.svc.
const { createServer } = require('node:https');

const { TLS_CERT: cert, TLS_KEY: key, PORT = '8443' } = process.env;

/** Why a container may not be; undefined if it may. */
function problemOf({ name, image }) {
  const last = image.slice(image.lastIndexOf('/') + 1);
  if (last.includes('@')) return undefined;
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest';
  return tag === 'latest' ? `container "${name}" uses the tag "latest"` : undefined;
}

function judge({ uid, object }) {
  const { containers = [], initContainers = [] } = object.spec;
  const problems = [...initContainers, ...containers].map(problemOf).filter(Boolean);
  const status = { code: 403, reason: 'Forbidden', message: problems.join(', ') };
  return { uid, allowed: problems.length === 0, ...(problems.length > 0 && { status }) };
}

async function answer(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  try {
    const { apiVersion, kind, request: asked } = JSON.parse(body);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apiVersion, kind, response: judge(asked) }));
  } catch (error) {
    response.writeHead(400).end(String(error));
  }
}

createServer({ cert, key }, answer).listen(Number(PORT), () => console.log(`listening on ${PORT}`));
process.on('SIGTERM', () => process.exit(0));

/** Why a connection failed, in the words of Go's net and tls packages. */

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
]);

interface Failure {
  code?: string;
  message: string;
  address?: string;
  port?: number;
  hostname?: string;
  cert?: { subjectaltname?: string };
  errors?: Failure[];
}

export function describeFailure(error: unknown, url: URL): string {
  const failure = error as Failure;
  // Several addresses were tried: the first tells.
  const { code = '', message, address, port, hostname, cert } = failure.errors?.[0] ?? failure;
  const at = address === undefined ? url.host : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  if (UNKNOWN_AUTHORITY.has(code))
    return 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: certificate is valid for ${names(cert?.subjectaltname)}, not ${url.hostname}`;
    case 'ECONNREFUSED':
      return `dial tcp ${at}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `dial tcp ${at}: connect: no route to host`;
    case 'ENETUNREACH':
      return `dial tcp ${at}: connect: network is unreachable`;
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return `dial tcp ${at}: i/o timeout`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${hostname ?? url.hostname}: no such host`;
    case 'ECONNRESET':
      return `read tcp ${at}: connection reset by peer`;
    case 'UND_ERR_SOCKET':
      return 'EOF';
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'http: server gave HTTP response to HTTPS client';
    default:
      return message;
  }
}

const names = (alternatives = ''): string =>
  alternatives
    .split(', ')
    .map((each) => each.replace(/^(DNS|IP Address):/, ''))
    .join(', ');

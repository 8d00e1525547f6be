/**
 * Tokens that the holder of a client certificate signs with its own key, for places where a certificate can't go: the
 * dashboard in a browser. A JWT with the certificate in its header (`x5c`, RFC 7515); it needs no request to make one, and
 * is worth no more than the certificate, and not for longer than an hour.
 */
import { createPrivateKey, type KeyObject, randomUUID, X509Certificate } from 'node:crypto';
import { decodeProtectedHeader, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../../api/machinery/clock.js';
import { unauthorized } from '../../api/machinery/status.js';
import { type AuthenticateOptions, certificateUser, type TokenAuthenticator } from '../authenticate.js';

/** What the header says of itself: no other token of this cluster is taken for one of these, nor the reverse. */
const TYPE = 'keelson-certificate+jwt';
const AUDIENCE = 'keelson:certificate-token';

/** Seconds that such a token is good for at most. */
export const MAX_CERTIFICATE_TOKEN_SECONDS = 3600;
/** Clocks of the client and the server may differ a little (seconds). */
const SKEW = 60;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

const CURVES: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** The one algorithm that goes with a key. Throws Error for a key of another kind. */
function algorithmOf(key: KeyObject): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const found =
    type === 'ec'
      ? CURVES[details?.namedCurve ?? '']
      : { rsa: 'RS256', ed25519: 'EdDSA' }[type as 'rsa' | 'ed25519'];
  if (!found) throw new Error(`tokens can't be signed with a key of the type ${type}`);
  return found;
}

/** `cert` and `key`: PEM. Throws Error for what is not a certificate and its key. */
export async function signCertificateToken(
  { cert, key }: { cert: string | Buffer; key: string | Buffer },
  seconds: number,
  now: number,
): Promise<string> {
  const certificate = new X509Certificate(cert);
  const privateKey = createPrivateKey(key);
  if (!certificate.checkPrivateKey(privateKey)) throw new Error('the key is not that of the certificate');
  const issued = Math.floor(now / 1000);
  return new SignJWT()
    .setProtectedHeader({
      alg: algorithmOf(privateKey),
      typ: TYPE,
      x5c: [certificate.raw.toString('base64')],
    })
    .setAudience(AUDIENCE)
    .setIssuedAt(issued)
    .setExpirationTime(issued + Math.min(seconds, MAX_CERTIFICATE_TOKEN_SECONDS))
    .setJti(randomUUID())
    .sign(privateKey);
}

/** `ca`: PEM of the CA of clients' certificates. `check`: whether a certificate counts, as at the TLS port. */
export function certificateTokens(
  ca: string,
  clock: Clock,
  check: NonNullable<AuthenticateOptions['check']> = () => {},
): TokenAuthenticator {
  const authority = new X509Certificate(ca);
  return async (token) => {
    const chain = chainOf(token);
    if (!chain) return undefined;
    try {
      const now = clock.now();
      const certificate = new X509Certificate(Buffer.from(chain[0] ?? '', 'base64'));
      requireClient(certificate, authority, now);
      const { payload } = await jwtVerify(token, certificate.publicKey, {
        typ: TYPE,
        audience: AUDIENCE,
        algorithms: [algorithmOf(certificate.publicKey)],
        requiredClaims: ['exp', 'iat'],
        maxTokenAge: MAX_CERTIFICATE_TOKEN_SECONDS,
        clockTolerance: SKEW,
        currentDate: new Date(now),
      });
      if (payload.exp! * 1000 <= now || payload.exp! - payload.iat! > MAX_CERTIFICATE_TOKEN_SECONDS)
        throw unauthorized();
      const { CN, O } = certificate.toLegacyObject().subject as unknown as Record<string, string | string[]>;
      const commonName = [CN ?? ''].flat()[0] ?? '';
      check(commonName, Date.parse(certificate.validFrom));
      return certificateUser({ commonName, organizations: [O ?? []].flat(), raw: certificate.raw });
    } catch {
      throw unauthorized();
    }
  };
}

/** The certificates that a token of this type names; undefined for any other. */
function chainOf(token: string): string[] | undefined {
  try {
    const { typ, x5c } = decodeProtectedHeader(token);
    return typ === TYPE ? (x5c ?? []) : undefined;
  } catch {
    return undefined;
  }
}

/** As the TLS port would: vouched for by the CA itself, valid now, and a client's. Throws. */
function requireClient(certificate: X509Certificate, authority: X509Certificate, now: number): void {
  const good =
    certificate.checkIssued(authority) &&
    certificate.verify(authority.publicKey) &&
    !certificate.ca &&
    (certificate.keyUsage ?? []).includes(CLIENT_AUTH) &&
    Date.parse(certificate.validFrom) <= now &&
    now < Date.parse(certificate.validTo);
  if (!good) throw unauthorized();
}

/**
 * What a PKCS#10 request must be for the API to take it: well formed, and signed by the key that it names.
 * @see https://www.rfc-editor.org/rfc/rfc2986#section-4
 */
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';

/** The first block of PEM, whatever stands before it. */
const PEM = /^-----BEGIN ([^-\n]+)-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)-----END \1-----/m;

const SEQUENCE = 0x30;
const OBJECT_ID = 0x06;
const BIT_STRING = 0x03;
const INTEGER = 0x02;
const ATTRIBUTES = 0xa0;

/** The digest of each signature algorithm, by the hexadecimal body of its object identifier; null where it has its own. */
const DIGESTS: Record<string, string | null> = {
  '2a864886f70d010105': 'sha1',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha1',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2b6570': null,
};

/** RSASSA-PSS, whose parameters name the digest. */
const PSS = '2a864886f70d01010a';
const PSS_DIGESTS: [string, string][] = [
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
];

const FAILURES: Record<string, string> = {
  rsa: 'crypto/rsa: verification error',
  ec: 'x509: ECDSA verification failure',
  ed25519: 'x509: Ed25519 verification failure',
};

class MalformedRequest extends Error {}

/** One element of DER: its tag, its body, and all its bytes. */
interface Element {
  tag: number;
  body: Buffer;
  bytes: Buffer;
}

/** The first element of `data`. Throws MalformedRequest. */
function readElement(data: Buffer): Element {
  const [tag, short] = data;
  if (tag === undefined) throw new MalformedRequest('asn1: syntax error: sequence truncated');
  if (short === undefined) throw new MalformedRequest('asn1: syntax error: truncated tag or length');
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  if (lengthBytes > 4 || short === 0x80)
    throw new MalformedRequest(
      short === 0x80
        ? 'asn1: syntax error: indefinite length found (not DER)'
        : 'asn1: structure error: length too large',
    );
  const start = 2 + lengthBytes;
  if (data.length < start) throw new MalformedRequest('asn1: syntax error: truncated tag or length');
  const length = lengthBytes === 0 ? short : data.readUIntBE(2, lengthBytes);
  const bytes = data.subarray(0, start + length);
  if (bytes.length < start + length) throw new MalformedRequest('asn1: syntax error: data truncated');
  return { tag, body: bytes.subarray(start), bytes };
}

/** The elements within a body, whose tags must be these. Throws MalformedRequest. */
function readElements(body: Buffer, tags: readonly number[]): Element[] {
  let rest = body;
  return tags.map((tag) => {
    const element = readElement(rest);
    if (element.tag !== tag) throw new MalformedRequest("asn1: structure error: tags don't match");
    rest = rest.subarray(element.bytes.length);
    return element;
  });
}

/** What keeps the bytes from being a request in PEM with a signature that holds, if anything does. */
export function requestProblem(base64: string): string | undefined {
  const [, type, body = ''] = PEM.exec(Buffer.from(base64, 'base64').toString('latin1')) ?? [];
  if (type !== 'CERTIFICATE REQUEST') return 'PEM block type must be CERTIFICATE REQUEST';
  try {
    return signatureProblem(Buffer.from(body, 'base64'));
  } catch (error) {
    if (error instanceof MalformedRequest) return error.message;
    throw error;
  }
}

function signatureProblem(der: Buffer): string | undefined {
  const [request] = readElements(der, [SEQUENCE]);
  if (request!.bytes.length < der.length) return 'asn1: syntax error: trailing data';
  const [info, algorithm, signature] = readElements(request!.body, [SEQUENCE, SEQUENCE, BIT_STRING]);
  const [, , publicKey] = readElements(info!.body, [INTEGER, SEQUENCE, SEQUENCE, ATTRIBUTES]);
  const [id] = readElements(algorithm!.body, [OBJECT_ID]);
  const oid = id!.body.toString('hex');
  const pss = oid === PSS;
  const digest = pss ? pssDigest(algorithm!.body) : DIGESTS[oid];
  if (digest === undefined) return 'x509: cannot verify signature: algorithm unimplemented';
  let key: KeyObject;
  try {
    key = createPublicKey({ key: publicKey!.bytes, format: 'der', type: 'spki' });
  } catch {
    return 'x509: malformed public key';
  }
  // The first byte of a bit string counts the bits that its last byte leaves unused.
  if (holds(digest, info!.bytes, key, pss, signature!.body.subarray(1))) return undefined;
  return FAILURES[key.asymmetricKeyType ?? ''] ?? 'x509: signature verification failure';
}

const pssDigest = (algorithm: Buffer): string | undefined =>
  PSS_DIGESTS.find(([oid]) => algorithm.includes(oid, 0, 'hex'))?.[1];

function holds(
  digest: string | null,
  data: Buffer,
  key: KeyObject,
  pss: boolean,
  signature: Buffer,
): boolean {
  try {
    const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING } : {};
    return verify(digest, data, { key, ...padding }, signature);
  } catch {
    // The key is of another kind than the signature.
    return false;
  }
}

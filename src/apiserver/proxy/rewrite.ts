/** Links in answers that pass a proxy: what leads to the backend is made to lead through the proxy (apimachinery `util/proxy`). */
import { posix } from 'node:path';
import { Transform } from 'node:stream';

/** Where the backend's `/` is, and under which names it and this server are known. */
export interface Mapping {
  /** The path in front of the backend's own, without a slash at its end. */
  prefix: string;
  /** `host:port` of the backend. */
  backend: string;
  /** The `Host` of the request. */
  host: string;
}

const URL_PARTS = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/is;

/** Relative links, and those to elsewhere, stay as they are. */
export function rewriteUrl(url: string, { prefix, backend, host }: Mapping): string {
  const [, scheme, authority = '', path = '', query = '', fragment = ''] = URL_PARTS.exec(url) ?? [];
  if (!path.startsWith('/') || (authority !== '' && authority !== backend && authority !== host)) return url;
  const start = authority !== '' && authority === host ? `${scheme ? `${scheme}:` : ''}//${authority}` : '';
  if (path.startsWith(prefix)) return `${start}${path}${query}${fragment}`;
  const joined = posix.join(prefix, path);
  const slash = path.endsWith('/') && !joined.endsWith('/') ? '/' : '';
  return `${start}${joined}${slash}${query}${fragment}`;
}

/** Elements of HTML with the attributes that are URLs. */
const URL_ATTRIBUTES: Record<string, string[]> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

const TAG = /<([a-z][a-z0-9]*)((?:\s+[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+))?)*\s*\/?)>/gi;
const ATTRIBUTE = /(\s+)([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'=<>`]+)/g;
/** A tag longer than this is passed on as it is. */
const MAX_TAG = 64 * 1024;

function rewriteTags(html: string, mapping: Mapping): string {
  return html.replace(TAG, (tag, name: string, attributes: string) => {
    const urls = URL_ATTRIBUTES[name.toLowerCase()];
    if (!urls || attributes === '') return tag;
    const changed = attributes.replace(
      ATTRIBUTE,
      (whole, space, attribute: string, equals, value: string) => {
        if (!urls.includes(attribute.toLowerCase())) return whole;
        const quote = /^["']/.test(value) ? value[0]! : '';
        const url = quote === '' ? value : value.slice(1, -1);
        return `${space}${attribute}${equals}${quote}${rewriteUrl(url, mapping)}${quote}`;
      },
    );
    return `<${name}${changed}>`;
  });
}

/** Rewrites links in HTML as it passes, with no more in memory than an unfinished tag. Bytes outside of ASCII stay. */
export function rewriteHtml(mapping: Mapping): Transform {
  let rest = '';
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = rest + chunk.toString('latin1');
      const open = text.lastIndexOf('<');
      const whole = open < 0 || text.indexOf('>', open) >= 0 || text.length - open > MAX_TAG;
      rest = whole ? '' : text.slice(open);
      done(null, Buffer.from(rewriteTags(whole ? text : text.slice(0, open), mapping), 'latin1'));
    },
    flush(done) {
      done(null, Buffer.from(rewriteTags(rest, mapping), 'latin1'));
    },
  });
}

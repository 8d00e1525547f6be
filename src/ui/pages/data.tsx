/** The values of a ConfigMap or Secret; those of a Secret are hidden until they are asked for. */
import { useState } from 'preact/hooks';
import type { KubeObject } from '../api/follow.js';
import { bytes } from '../lib/format.js';
import { Section } from '../parts/basics.js';

interface Value {
  key: string;
  size: number;
  /** Undefined for what is no text. */
  text(): string | undefined;
}

function decoded(base64: string): string | undefined {
  try {
    const raw = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true }).decode(raw);
  } catch {
    return undefined;
  }
}

const sizeOf = (base64: string): number => Math.floor((base64.replace(/=+$/, '').length * 3) / 4);

function valuesOf(object: KubeObject, encoded: boolean): Value[] {
  const binary = (of: Record<string, string> = {}): Value[] =>
    Object.entries(of).map(([key, value]) => ({ key, size: sizeOf(value), text: () => decoded(value) }));
  const plain = (of: Record<string, string> = {}): Value[] =>
    Object.entries(of).map(([key, value]) => ({
      key,
      size: new TextEncoder().encode(value).length,
      text: () => value,
    }));
  return encoded ? binary(object['data']) : [...plain(object['data']), ...binary(object['binaryData'])];
}

export function Data({ object, hidden }: { object: KubeObject; hidden: boolean }) {
  const values = valuesOf(object, hidden);
  return (
    <Section title="Data" count={values.length}>
      {object['type'] && <p class="faint">{object['type']}</p>}
      {values.map((value) => (
        <Entry key={value.key} value={value} hidden={hidden} />
      ))}
    </Section>
  );
}

function Entry({ value, hidden }: { value: Value; hidden: boolean }) {
  const [open, setOpen] = useState(!hidden);
  const text = open ? value.text() : undefined;
  return (
    <div class="value">
      <div class="value-head">
        <code>{value.key}</code> <span class="faint">{bytes(value.size)}</span>
        {hidden && (
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? 'Hide' : 'Show'}
          </button>
        )}
      </div>
      {open ? <pre>{text ?? 'This is not text.'}</pre> : <pre class="faint">••••••••</pre>}
    </div>
  );
}

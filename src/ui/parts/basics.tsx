/** Small pieces that pages are made of. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ApiError, messageOf } from '../api/http.js';
import { age } from '../lib/format.js';

/** What the API said no with: its message, and the causes with their fields. */
export function Problem({ error }: { error: unknown }) {
  if (error === undefined) return null;
  const causes = error instanceof ApiError ? error.causes : [];
  const reason = error instanceof ApiError ? error.reason : '';
  return (
    <div class="problem" role="alert">
      {reason && <strong>{reason}: </strong>}
      {messageOf(error)}
      {causes.length > 1 && (
        <ul>
          {causes.map(({ field, message }) => (
            <li key={`${field}${message}`}>
              <code>{field}</code> {message}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** How long ago, always right. */
export function Age({ since }: { since: string | undefined }) {
  const [now, setNow] = useState(Date.now());
  const elapsed = since ? now - Date.parse(since) : 0;
  useEffect(() => {
    if (!since) return;
    const every = elapsed < 600_000 ? 1000 : 30_000;
    const timer = setTimeout(() => setNow(Date.now()), every - (Date.now() % 1000));
    return () => clearTimeout(timer);
  }, [since, elapsed]);
  return since ? <span title={new Date(since).toLocaleString()}>{age(elapsed)}</span> : null;
}

const GOOD = /^(Running|Ready|Active|Bound|Complete|Completed|Succeeded|True|Normal|Available|Scheduled)$/;
const BAD = /(Error|Fail|BackOff|Evicted|OOM|NotReady|Lost|Invalid|Unschedulable|Unknown|^False$|Warning)/;

/** `good`, `bad`, `busy`: by the words that the API uses. */
export const toneOf = (text: string): string => (GOOD.test(text) ? 'good' : BAD.test(text) ? 'bad' : 'busy');

export const Badge = ({ text, tone = toneOf(text) }: { text: string; tone?: string }) => (
  <span class={`badge ${tone}`}>{text}</span>
);

export function Section({
  title,
  children,
  count,
}: {
  title: string;
  children: ComponentChildren;
  count?: number;
}) {
  return (
    <section>
      <h2>
        {title}
        {count !== undefined && <span class="count">{count}</span>}
      </h2>
      {children}
    </section>
  );
}

/** Names and values. */
export function Facts({ of }: { of: [name: string, value: ComponentChildren][] }) {
  return (
    <dl class="facts">
      {of
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Labels({ of }: { of: Record<string, string> | undefined }) {
  const entries = Object.entries(of ?? {});
  if (entries.length === 0) return <span class="faint">none</span>;
  return (
    <>
      {entries.map(([key, value]) => (
        <code class="label" key={key}>
          {value === '' ? key : `${key}=${value}`}
        </code>
      ))}
    </>
  );
}

/** An object as YAML: read, edit, try on the server, then apply. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { getText } from '../api/http.js';
import { KINDS, type Kind, pathOf } from '../api/kinds.js';
import { diff } from '../lib/diff.js';
import { comparable, withoutManagedFields } from '../lib/yaml.js';
import { Problem } from '../parts/basics.js';

const YAML = 'application/yaml';
const MANAGER = 'keelson-dashboard';

/** What the server would make of a text. */
interface Trial {
  /** The text that was tried. */
  of: string;
  result: string;
}

export function YamlTab({ kind, namespace, name }: { kind: Kind; namespace: string; name: string }) {
  const secret = kind.group === '' && kind.plural === KINDS.secrets.plural;
  const [asked, setAsked] = useState(!secret);
  if (!asked)
    return (
      <p>
        The YAML of a Secret has its values in it.{' '}
        <button type="button" onClick={() => setAsked(true)}>
          Show it
        </button>
      </p>
    );
  return <Editor path={pathOf(kind, namespace, name)} />;
}

function Editor({ path }: { path: string }) {
  const [live, setLive] = useState('');
  const [text, setText] = useState<string>();
  const [trial, setTrial] = useState<Trial>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState('');

  const take = useCallback((yaml: string) => {
    setLive(yaml);
    setText(withoutManagedFields(yaml));
    setTrial(undefined);
  }, []);
  const attempt = useCallback(async (work: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    setDone('');
    await work().catch(setError);
    setBusy(false);
  }, []);
  const load = useCallback(
    () => attempt(async () => take(await getText(path, { accept: YAML }))),
    [path, attempt, take],
  );
  useEffect(() => void load(), [load]);

  const put = (body: string, dryRun: boolean) =>
    getText(path, {
      method: 'PUT',
      query: {
        fieldManager: MANAGER,
        fieldValidation: 'Strict',
        ...(dryRun ? { dryRun: 'All' } : {}),
      },
      body,
      contentType: YAML,
      accept: YAML,
    });
  const review = () =>
    attempt(async () => {
      setTrial(undefined);
      const of = text!;
      setTrial({ of, result: await put(of, true) });
    });
  const apply = () =>
    attempt(async () => {
      take(await put(trial!.of, false));
      setDone('Applied.');
    });

  if (text === undefined)
    return error === undefined ? <p class="faint">Loading…</p> : <Problem error={error} />;
  const edited = text !== withoutManagedFields(live);
  return (
    <>
      <div class="bar">
        <button type="button" onClick={review} disabled={busy || !edited}>
          Try on the server
        </button>
        <button type="button" class="primary" onClick={apply} disabled={busy || trial?.of !== text}>
          Apply
        </button>
        <button type="button" onClick={load} disabled={busy}>
          {edited ? 'Discard and read again' : 'Read again'}
        </button>
        <span role="status">{done}</span>
      </div>
      <Problem error={error} />
      {trial && trial.of === text && <Changes before={live} after={trial.result} />}
      <textarea
        class="yaml"
        spellcheck={false}
        autocomplete="off"
        aria-label="YAML"
        wrap="off"
        value={text}
        rows={Math.min(Math.max(text.split('\n').length + 1, 12), 40)}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setDone('');
        }}
      />
    </>
  );
}

function Changes({ before, after }: { before: string; after: string }) {
  const lines = diff(comparable(before), comparable(after));
  if (lines.length === 0) return <p role="status">The server accepts it, and nothing would change.</p>;
  const signs = { same: ' ', added: '+', removed: '-', gap: '' };
  return (
    <section aria-label="What would change">
      <p role="status">The server accepts it. What would change:</p>
      <pre class="diff">
        {lines.map(({ type, text }, i) => (
          <div key={i} class={type}>
            {type === 'gap' ? '⋯' : `${signs[type]} ${text}`}
          </div>
        ))}
      </pre>
    </section>
  );
}

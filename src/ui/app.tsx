/** The frame: who is logged in, the namespace, the pages. */
import { useEffect } from 'preact/hooks';
import { useTable } from './api/follow.js';
import { ApiError } from './api/http.js';
import { KINDS, pathOf } from './api/kinds.js';
import { chooseNamespace, logOut, namespace, token } from './api/session.js';
import { filter } from './lib/filter.js';
import { listenToKeys } from './lib/keys.js';
import { route, startRouting } from './lib/route.js';
import { useStore } from './lib/store.js';
import { MENU, Page } from './pages/index.js';
import { LogIn } from './pages/log-in.js';
import { ThemeButton } from './parts/theme.js';
import { Who } from './parts/who.js';

export function App() {
  useEffect(startRouting, []);
  useEffect(listenToKeys, []);
  return useStore(token) === '' ? <LogIn /> : <Cluster />;
}

function Cluster() {
  const path = useStore(route);
  const wanted = useStore(filter);
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={toMain}>
        Skip to the page
      </button>
      <header>
        <a class="brand" href="#/workloads">
          Keelson
        </a>
        <Namespaces />
        <input
          type="search"
          id="filter"
          placeholder="Filter ( / )"
          aria-label="Filter rows"
          value={wanted}
          onInput={(event) => filter.set(event.currentTarget.value)}
        />
        <span class="space" />
        <Who />
        <ThemeButton />
        <button type="button" class="quiet" onClick={() => logOut()}>
          Log out
        </button>
      </header>
      <nav aria-label="Pages">
        {MENU.map(({ id, title, key }) => (
          <a
            key={id}
            href={`#/${id}`}
            aria-current={(path[0] ?? 'workloads') === id ? 'page' : undefined}
            title={`Keys: g ${key}`}
          >
            {title}
          </a>
        ))}
        <p class="hint">
          <kbd>/</kbd> filter, <kbd>j</kbd> <kbd>k</kbd> rows, <kbd>g</kbd> and <kbd>w</kbd> <kbd>p</kbd>{' '}
          <kbd>n</kbd>… pages
        </p>
      </nav>
      <main id="main" tabIndex={-1}>
        <Page path={path} key={path.join('/')} />
      </main>
    </div>
  );
}

const toMain = () => document.getElementById('main')?.focus();

/** All that there are; who may not see them types one. */
function Namespaces() {
  const chosen = useStore(namespace);
  const { items, error, loaded } = useTable(pathOf(KINDS.namespaces));
  const names = items.map(({ object }) => object.metadata.name).sort();
  const isRefused = !loaded && error instanceof ApiError && error.code === 403;
  // Who may not list namespaces hardly may list what is in all of them: kubectl's default is the better start.
  useEffect(() => {
    if (isRefused && chosen === '') chooseNamespace('default');
  }, [isRefused]);
  if (error !== undefined && !loaded)
    return (
      <label>
        Namespace{' '}
        <input
          value={chosen}
          placeholder="all"
          onChange={(event) => chooseNamespace(event.currentTarget.value.trim())}
        />
      </label>
    );
  if (chosen !== '' && !names.includes(chosen)) names.unshift(chosen);
  return (
    <label>
      Namespace{' '}
      <select value={chosen} onChange={(event) => chooseNamespace(event.currentTarget.value)}>
        <option value="">All</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Light or dark: as the system has it, unless chosen. */
import { createStore, useStore } from '../lib/store.js';

const KEY = 'keelson.theme';
type Theme = 'auto' | 'light' | 'dark';
const NEXT: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };
const SIGN: Record<Theme, string> = { auto: '◐', light: '☀', dark: '☾' };

const theme = createStore<Theme>(remembered());

function remembered(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'auto';
  } catch {
    return 'auto';
  }
}

const system = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (theme.get() === 'auto' ? system.matches : theme.get() === 'dark');

/** Whether it is dark now; components that draw by themselves follow it. */
export const dark = createStore(isDark());

export function applyTheme(): void {
  dark.set(isDark());
  document.documentElement.dataset['theme'] = dark.get() ? 'dark' : 'light';
}
system.addEventListener('change', applyTheme);

export function ThemeButton() {
  const now = useStore(theme);
  const change = () => {
    theme.set(NEXT[now]);
    try {
      localStorage.setItem(KEY, NEXT[now]);
    } catch {
      // Then it is for this page only.
    }
    applyTheme();
  };
  return (
    <button
      type="button"
      class="quiet"
      onClick={change}
      title={`Colours: ${now}`}
      aria-label={`Colours: ${now}`}
    >
      {SIGN[now]}
    </button>
  );
}

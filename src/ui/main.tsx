/** The dashboard: what a cluster holds, as its user may see it, from the API alone. */
import { render } from 'preact';
import { takeTokenFromAddress } from './api/session.js';
import { App } from './app.js';
import { applyTheme } from './parts/theme.js';
import './style.css';

takeTokenFromAddress();
applyTheme();
render(<App />, document.getElementById('app')!);

/** The text that rows must have somewhere. */
import { createStore } from './store.js';

export const filter = createStore('');

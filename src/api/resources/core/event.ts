/** events. */
import type { Event } from '#types';
import { defineResource } from '../define.js';

export const events = defineResource<Event>({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  namespaced: true,
});

/** The functions that every environment of Kubernetes has. */
import type { Overload } from '../declare.js';
import { authorizer } from './authorizer.js';
import { lists, regexes, sets } from './lists.js';
import { operators } from './operators.js';
import { standard } from './standard.js';
import { strings } from './strings.js';
import { times } from './times.js';

export const kubernetesLibraries: readonly Overload[] = [
  ...operators,
  ...standard,
  ...times,
  ...strings,
  ...lists,
  ...sets,
  ...regexes,
  ...authorizer,
];

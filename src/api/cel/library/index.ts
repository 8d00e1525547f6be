/** The functions that every environment of Kubernetes has. */
import type { Overload } from '../declare.js';
import { authorizer } from './authorizer.js';
import { formats } from './formats.js';
import { addresses } from './ip.js';
import { lists, regexes, sets } from './lists.js';
import { operators } from './operators.js';
import { quantities } from './quantity.js';
import { semvers } from './semver.js';
import { standard } from './standard.js';
import { strings } from './strings.js';
import { times } from './times.js';
import { urls } from './urls.js';

export const kubernetesLibraries: readonly Overload[] = [
  ...operators,
  ...standard,
  ...times,
  ...strings,
  ...lists,
  ...sets,
  ...regexes,
  ...authorizer,
  ...quantities,
  ...addresses,
  ...urls,
  ...formats,
  ...semvers,
];

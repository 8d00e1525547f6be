/** Which page is shown for which address. */
import { AllKinds, AnyCollection } from './all.js';
import { Config, Network, NodesPage, PodsPage, Storage, Workloads } from './collections.js';
import { EventsPage } from './events.js';
import { ObjectPage } from './object.js';

export const MENU = [
  { id: 'workloads', title: 'Workloads', key: 'w', page: Workloads },
  { id: 'pods', title: 'Pods', key: 'p', page: PodsPage },
  { id: 'network', title: 'Services and Ingresses', key: 's', page: Network },
  { id: 'config', title: 'ConfigMaps and Secrets', key: 'c', page: Config },
  { id: 'storage', title: 'Volume claims', key: 'd', page: Storage },
  { id: 'events', title: 'Events', key: 'e', page: EventsPage },
  { id: 'nodes', title: 'Nodes', key: 'n', page: NodesPage },
  { id: 'all', title: 'All kinds', key: 'a', page: AllKinds },
];

export function Page({ path: [first = 'workloads', ...rest] }: { path: string[] }) {
  if (first === 'o' && rest.length >= 5) {
    const [group, version, plural, namespace, name, tab = ''] = rest as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const kind = {
      group: group === 'core' ? '' : group,
      version,
      plural,
      kind: '',
      namespaced: namespace !== '-',
    };
    return <ObjectPage kind={kind} namespace={namespace === '-' ? '' : namespace} name={name} tab={tab} />;
  }
  if (first === 'k' && rest.length === 3)
    return <AnyCollection group={rest[0] === 'core' ? '' : rest[0]!} version={rest[1]!} plural={rest[2]!} />;
  const entry = MENU.find(({ id }) => id === first);
  if (!entry) return <p class="faint">There is no such page.</p>;
  return <entry.page />;
}

/** One object: what there is to know of its kind, its events, its YAML; of a pod, logs and a terminal as well. */
import { useObjects } from '../api/follow.js';
import { type Kind, knownKind, objectHref, pathOf } from '../api/kinds.js';
import { Problem } from '../parts/basics.js';
import { Logs } from './logs.js';
import { Overview } from './overview.js';
import { TerminalTab } from './terminal-tab.js';
import { YamlTab } from './yaml.js';

interface ObjectProps {
  kind: Kind;
  namespace: string;
  name: string;
  tab: string;
}

export function ObjectPage({ kind, namespace, name, tab }: ObjectProps) {
  const { items, loaded, error } = useObjects(pathOf(kind, namespace), {
    fieldSelector: `metadata.name=${name}`,
  });
  const object = items[0]?.object;
  const isPod = kind.group === '' && kind.plural === 'pods';
  const tabs = ['', 'yaml', ...(isPod ? ['logs', 'terminal'] : [])];
  const titles: Record<string, string> = { '': 'Overview', yaml: 'YAML', logs: 'Logs', terminal: 'Terminal' };
  return (
    <>
      <p class="crumbs">
        {namespace && <>{namespace} / </>}
        {kind.plural}
      </p>
      <h1>{name}</h1>
      {object?.metadata.ownerReferences?.map((owner) => {
        const known = knownKind(owner.apiVersion, owner.kind);
        return (
          <p key={owner.name} class="owner">
            Made by{' '}
            {known ? (
              <a href={objectHref(known, namespace, owner.name)}>
                {owner.kind} {owner.name}
              </a>
            ) : (
              `${owner.kind} ${owner.name}`
            )}
          </p>
        );
      })}
      <div class="tabs" role="tablist">
        {tabs.map((id) => (
          <a key={id} role="tab" aria-selected={id === tab} href={objectHref(kind, namespace, name, id)}>
            {titles[id]}
          </a>
        ))}
      </div>
      <Problem error={error} />
      {loaded && !object && <p class="faint">It does not exist, or not any more.</p>}
      {tab === '' && object && <Overview kind={kind} object={object} />}
      {tab === 'yaml' && <YamlTab kind={kind} namespace={namespace} name={name} />}
      {tab === 'logs' && object && <Logs pod={object} />}
      {tab === 'terminal' && object && <TerminalTab pod={object} />}
    </>
  );
}

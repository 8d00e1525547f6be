/** What happened: of everything in a namespace, or of one object. */
import { type KubeObject, useObjects } from '../api/follow.js';
import { KINDS, knownKind, objectHref, pathOf } from '../api/kinds.js';
import { namespace } from '../api/session.js';
import { filter } from '../lib/filter.js';
import { useStore } from '../lib/store.js';
import { Age, Badge, Problem } from '../parts/basics.js';

export function EventsPage() {
  const chosen = useStore(namespace);
  return (
    <>
      <h1>Events</h1>
      <Events namespace={chosen} />
    </>
  );
}

const MOST = 300;

const lastSeen = (event: KubeObject): string =>
  event['series']?.lastObservedTime ??
  event['lastTimestamp'] ??
  event['eventTime'] ??
  event.metadata.creationTimestamp ??
  '';

/** `uid`: of the object that they are about; absent: of any. */
export function Events({ namespace: where, uid }: { namespace: string; uid?: string }) {
  const wanted = useStore(filter).toLowerCase();
  const query: Record<string, string> =
    uid === undefined ? {} : { fieldSelector: `involvedObject.uid=${uid}` };
  const { items, loaded, error } = useObjects(pathOf(KINDS.events, where), query);
  if (!loaded) return error === undefined ? <p class="faint">Loading…</p> : <Problem error={error} />;
  const shown = items
    .map(({ object }) => object)
    .filter((event) => uid !== undefined || textOf(event).includes(wanted))
    .sort((a, b) => Date.parse(lastSeen(b)) - Date.parse(lastSeen(a)));
  return (
    <>
      <Problem error={error} />
      {shown.length === 0 ? (
        <p class="faint">None.</p>
      ) : (
        <div class="scroll">
          <table class="events">
            <thead>
              <tr>
                <th>Last seen</th>
                <th>Type</th>
                <th>Reason</th>
                {uid === undefined && <th>Object</th>}
                <th>Message</th>
                <th>Count</th>
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, MOST).map((event) => (
                <tr key={event.metadata.uid}>
                  <td>
                    <Age since={lastSeen(event)} />
                  </td>
                  <td>
                    <Badge text={event['type'] ?? ''} />
                  </td>
                  <td>{event['reason']}</td>
                  {uid === undefined && (
                    <td>
                      <About event={event} />
                    </td>
                  )}
                  <td class="message">{event['message']}</td>
                  <td>{event['series']?.count ?? event['count'] ?? 1}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {shown.length > MOST && <p class="faint">{shown.length - MOST} older ones are not shown.</p>}
    </>
  );
}

function textOf(event: KubeObject): string {
  const { involvedObject: of, reason, message } = event as Record<string, any>;
  return `${of?.kind} ${of?.namespace} ${of?.name} ${reason} ${message}`.toLowerCase();
}

function About({ event }: { event: KubeObject }) {
  const of = event['involvedObject'] ?? {};
  const kind = knownKind(of.apiVersion, of.kind);
  const text = `${of.kind} ${of.name}`;
  return kind ? <a href={objectHref(kind, of.namespace, of.name)}>{text}</a> : <span>{text}</span>;
}

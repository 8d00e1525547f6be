/** The output of a container, as it comes. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { KubeObject } from '../api/follow.js';
import { pieces, request } from '../api/http.js';
import { KINDS, pathOf } from '../api/kinds.js';
import { route } from '../lib/route.js';
import { Problem } from '../parts/basics.js';
import { containersOf } from './containers.js';

const TAIL = 1000;
/** Characters that are kept on the page; the oldest go. */
const MOST = 2_000_000;
/** Pieces that come within this time (ms) are shown together; unlike a frame, it comes in a hidden tab as well. */
const TOGETHER_MS = 40;
const RETRY_MS = 1000;

/** The container that the address names, else the first that is not an init container. */
export function chosenContainer(pod: KubeObject): string {
  const named = route.get()[7];
  const all = containersOf(pod);
  const preferred = all.find(({ what }) => what === 'container') ?? all[0];
  return all.find(({ name }) => name === named)?.name ?? preferred?.name ?? '';
}

export function ContainerPicker({
  pod,
  value,
  onPick,
}: {
  pod: KubeObject;
  value: string;
  onPick(name: string): void;
}) {
  return (
    <label>
      Container{' '}
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)}>
        {containersOf(pod).map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

export function Logs({ pod }: { pod: KubeObject }) {
  const [container, setContainer] = useState(chosenContainer(pod));
  const [follow, setFollow] = useState(true);
  const [previous, setPrevious] = useState(false);
  const [timestamps, setTimestamps] = useState(false);
  const [error, setError] = useState<unknown>();
  const [ended, setEnded] = useState(false);
  const [again, setAgain] = useState(0);
  const view = useRef<HTMLPreElement>(null);
  const { namespace = '', name, uid } = pod.metadata;
  const restarts = containersOf(pod).find((one) => one.name === container)?.status?.restartCount ?? 0;

  useEffect(() => {
    const stop = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    const pre = view.current!;
    pre.textContent = '';
    setError(undefined);
    setEnded(false);
    const query = {
      container,
      tailLines: `${TAIL}`,
      ...(follow && !previous ? { follow: 'true' } : {}),
      ...(previous ? { previous: 'true' } : {}),
      ...(timestamps ? { timestamps: 'true' } : {}),
    };
    const path = pathOf(KINDS.pods, namespace, name, 'log');
    show(path, query, pre, stop.signal).then(
      () => setEnded(true),
      (cause) => {
        if (stop.signal.aborted) return;
        setError(cause);
        // The server went away, not the log.
        if (cause instanceof TypeError) retry = setTimeout(() => setAgain(again + 1), RETRY_MS);
      },
    );
    return () => {
      stop.abort();
      clearTimeout(retry);
    };
  }, [namespace, name, uid, container, follow, previous, timestamps, again]);

  const toggle = (text: string, value: boolean, set: (value: boolean) => void, disabled = false) => (
    <label>
      <input
        type="checkbox"
        checked={value}
        disabled={disabled}
        onChange={(event) => set(event.currentTarget.checked)}
      />{' '}
      {text}
    </label>
  );
  return (
    <>
      <div class="bar">
        <ContainerPicker pod={pod} value={container} onPick={setContainer} />
        {toggle('Follow', follow, setFollow, previous)}
        {toggle('Before the last restart', previous, setPrevious, restarts === 0 && !previous)}
        {toggle('Times', timestamps, setTimestamps)}
        {(ended || error !== undefined) && (
          <button type="button" onClick={() => setAgain(again + 1)}>
            Read again
          </button>
        )}
      </div>
      <Problem error={error} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, by keyboard as well */}
      <pre class="logs" role="log" ref={view} tabIndex={0} aria-label={`Log of ${container}`} />
      {ended && <p class="faint">The log ends here.</p>}
    </>
  );
}

/** Appends what comes, a few lines at a time; stays at the end while the reader is there. */
async function show(
  path: string,
  query: Record<string, string>,
  pre: HTMLElement,
  signal: AbortSignal,
): Promise<void> {
  const response = await request(path, { query, accept: '*/*', signal });
  let waiting = '';
  let size = 0;
  const write = () => {
    if (waiting === '' || signal.aborted) return;
    const atEnd = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
    pre.append(waiting);
    size += waiting.length;
    waiting = '';
    while (size > MOST && pre.firstChild && pre.childNodes.length > 1) {
      size -= pre.firstChild.textContent!.length;
      pre.firstChild.remove();
    }
    if (atEnd) pre.scrollTop = pre.scrollHeight;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const piece of pieces(response)) {
    waiting += piece;
    timer ??= setTimeout(() => {
      timer = undefined;
      write();
    }, TOGETHER_MS);
  }
  clearTimeout(timer);
  write();
}

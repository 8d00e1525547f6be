/** A shell in a container. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { KubeObject } from '../api/follow.js';
import { useStore } from '../lib/store.js';
import { dark } from '../parts/theme.js';
import { ContainerPicker, chosenContainer } from './logs.js';

export function TerminalTab({ pod }: { pod: KubeObject }) {
  const [container, setContainer] = useState(chosenContainer(pod));
  const [ended, setEnded] = useState<string>();
  const [again, setAgain] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const isDark = useStore(dark);
  const view = useRef<{ paint(dark: boolean): void } | undefined>(undefined);
  const { namespace = '', name, uid } = pod.metadata;

  useEffect(() => {
    let close = () => {};
    let left = false;
    setEnded(undefined);
    // A third of all the code is the terminal: it comes when one is opened.
    import('../terminal/view.js').then(({ openTerminal }) => {
      if (left) return;
      const opened = openTerminal(place.current!, { namespace, name, container }, dark.get(), setEnded);
      view.current = opened;
      close = opened.close;
    });
    return () => {
      left = true;
      close();
    };
  }, [namespace, name, uid, container, again]);
  useEffect(() => view.current?.paint(isDark), [isDark]);

  return (
    <>
      <div class="bar">
        <ContainerPicker pod={pod} value={container} onPick={setContainer} />
        {ended !== undefined && (
          <>
            <span role="status">{ended}</span>
            <button type="button" onClick={() => setAgain(again + 1)}>
              Connect again
            </button>
          </>
        )}
      </div>
      <div class="terminal-place" ref={place} />
    </>
  );
}

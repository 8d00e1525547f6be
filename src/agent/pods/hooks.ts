/** Lifecycle hooks: postStart and preStop. */
import type { LifecycleHandler } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { sleep } from '../../client/retry.js';
import { execHandler, type HandlerTarget, httpHandler, tcpHandler } from './handlers.js';

/** Rejects with what upstream's event says when the hook fails. */
export async function runHook(
  name: 'PostStart' | 'PreStop',
  hook: LifecycleHandler,
  target: HandlerTarget,
  clock: Clock,
  userAgent: string,
  signal: AbortSignal,
): Promise<void> {
  if (hook.exec) {
    const { ok, output } = await execHandler(target, hook.exec, signal);
    if (!ok) throw new Error(`${name}Hook failed: ${output.trim()}`);
  } else if (hook.httpGet) {
    const { ok, output } = await httpHandler(target, hook.httpGet, userAgent, signal);
    if (!ok) throw new Error(`${name}Hook failed: ${output}`);
  } else if (hook.tcpSocket) await tcpHandler(target, hook.tcpSocket, signal);
  else if (hook.sleep) await sleep(clock, hook.sleep.seconds * 1000, signal);
}

/** Lifecycle hooks: postStart and preStop. */
import type { LifecycleHandler } from '#types';
import type { Clock } from '../../api/machinery/clock.js';
import { sleep } from '../../client/retry.js';
import { execHandler, type HandlerTarget, httpHandler, tcpHandler } from './handlers.js';

/** Rejects with why the hook failed, which may be secret. */
export async function runHook(
  hook: LifecycleHandler,
  target: HandlerTarget,
  clock: Clock,
  userAgent: string,
  signal: AbortSignal,
): Promise<void> {
  if (hook.exec) {
    const { ok, output } = await execHandler(target, hook.exec, signal);
    if (!ok) throw new Error(output.trim());
  } else if (hook.httpGet) {
    const { ok, output } = await httpHandler(target, hook.httpGet, userAgent, signal);
    if (!ok) throw new Error(output);
  } else if (hook.tcpSocket) await tcpHandler(target, hook.tcpSocket, signal);
  else if (hook.sleep) await sleep(clock, hook.sleep.seconds * 1000, signal);
}

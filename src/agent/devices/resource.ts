/** One extended resource: the plugin that offers it, and its devices. */
import type { DevicePlugin } from './plugin.js';

export class DeviceResource {
  /** The one that registered last; undefined while none does. */
  plugin: DevicePlugin | undefined;
  /** By id whether each is healthy. */
  devices = new Map<string, boolean>();
  /** Ends the wait for a plugin that has gone. */
  cancelRemoval: (() => void) | undefined;

  get healthy(): string[] {
    return [...this.devices].flatMap(([id, isHealthy]) => (isHealthy ? [id] : [])).sort();
  }

  /** Its plugin has gone: nobody can say how its devices are. */
  lost(): void {
    this.plugin?.close();
    this.plugin = undefined;
    for (const id of this.devices.keys()) this.devices.set(id, false);
  }
}

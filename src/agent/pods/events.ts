/** Events about pods, as the kubelet of upstream tells them. */
import type { Container, Pod } from '#types';
import type { EventRecorder } from '../../client/event-recorder.js';

export type PodEvent = (
  pod: Pod,
  container: Container | undefined,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
) => void;

export function podEvents(recorder: EventRecorder): PodEvent {
  return (pod, container, type, reason, message) => {
    const lists = ['initContainers', 'ephemeralContainers'] as const;
    const list = lists.find((of) => pod.spec[of]?.some((c) => c.name === container?.name)) ?? 'containers';
    const fieldPath = container && `spec.${list}{${container.name}}`;
    recorder.event(pod, type, reason, message, fieldPath ? { fieldPath } : {});
  };
}

/** Whether tolerations bear a taint (component-helpers `corev1.Toleration.ToleratesTaint`). */
import type { Taint, Toleration } from '#types';

/** An empty key, with `Exists`, tolerates every key; an empty effect every effect. */
export function toleratesTaint(toleration: Toleration, taint: Taint): boolean {
  const { key, effect, operator = 'Equal', value = '' } = toleration;
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  if (operator === 'Exists') return true;
  return (operator === 'Equal' || operator === '') && value === (taint.value ?? '');
}

/** Whether any of them does. */
export function tolerated(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return tolerations?.some((toleration) => toleratesTaint(toleration, taint)) === true;
}

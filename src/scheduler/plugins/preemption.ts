/** What could make room for a pod that fits nowhere, and the words that tell that it did not. Nothing is evicted. */
import type { PostFilterPlugin } from '../framework.js';
import { fitMessage } from '../messages.js';

const NOT_HELPFUL = 'Preemption is not helpful for scheduling';
const NO_VICTIMS = 'No preemption victims found for incoming pod';

/** Upstream's plugin for device claims says so of every pod that fits nowhere. */
export const dynamicResources: PostFilterPlugin = {
  name: 'DynamicResources',
  postFilter: () => ({ message: 'no new claims to deallocate' }),
};

export const defaultPreemption: PostFilterPlugin = {
  name: 'DefaultPreemption',
  postFilter({ pod }, rejections) {
    if (pod.pod.spec.preemptionPolicy === 'Never')
      return { message: 'preemption: not eligible due to preemptionPolicy=Never.' };
    const results = [...rejections.values()].map(({ unresolvable }) => ({
      reasons: [unresolvable ? NOT_HELPFUL : NO_VICTIMS],
      unresolvable,
    }));
    return { message: `preemption: ${fitMessage(rejections.size, results)}` };
  },
};

/** DefaultPreemption: the words that tell that no lower pod had to go. It evicts nothing. */
import type { PostFilterPlugin } from '../framework.js';
import { fitMessage } from '../messages.js';

const NOT_HELPFUL = 'Preemption is not helpful for scheduling';
const NO_VICTIMS = 'No preemption victims found for incoming pod';

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

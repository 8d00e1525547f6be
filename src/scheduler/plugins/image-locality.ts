/** ImageLocality: prefers nodes that have the pod's images, weighted so that pods don't heap up on one. */
import { MAX_SCORE, type ScorePlugin } from '../framework.js';

const MIB = 1024 * 1024;
const MIN_SIZE = 23 * MIB;
const MAX_CONTAINER_SIZE = 1000 * MIB;

export const imageLocality: ScorePlugin = {
  name: 'ImageLocality',
  weight: 1,
  score({ pod, cache }, nodes) {
    const { containers, initContainers = [] } = pod.pod.spec;
    const images = [...initContainers, ...containers].map(({ image }) => withTag(image ?? ''));
    const known = images.filter((image) => cache.nodesWithImage(image) > 0);
    if (known.length === 0) return undefined;
    const total = cache.nodes.length;
    const max = MAX_CONTAINER_SIZE * images.length;
    return nodes.map((node) => {
      let sum = 0;
      for (const image of known)
        sum += Math.floor((node.imageSizes.get(image) ?? 0) * (cache.nodesWithImage(image) / total));
      const bounded = Math.min(Math.max(sum, MIN_SIZE), max);
      return Math.floor((MAX_SCORE * (bounded - MIN_SIZE)) / (max - MIN_SIZE));
    });
  },
};

function withTag(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}

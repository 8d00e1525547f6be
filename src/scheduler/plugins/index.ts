/** The plugins of the default profile, in the order they run. */
import type { FilterPlugin, PostFilterPlugin, ScorePlugin } from '../framework.js';
import { dynamicResources } from './dynamic-resources.js';
import { imageLocality } from './image-locality.js';
import { nodeAffinity, nodeName } from './node-affinity.js';
import { nodePorts } from './node-ports.js';
import { interPodAffinity } from './pod-affinity.js';
import { defaultPreemption } from './preemption.js';
import { balancedAllocation, nodeResourcesFit } from './resources.js';
import { nodeUnschedulable, taintToleration } from './taints.js';
import { podTopologySpread } from './topology-spread.js';
import { volumeBinding } from './volume-binding.js';
import { nodeVolumeLimits, volumeRestrictions, volumeZone } from './volumes.js';

export const filterPlugins: FilterPlugin[] = [
  nodeUnschedulable,
  nodeName,
  taintToleration,
  nodeAffinity,
  nodePorts,
  nodeResourcesFit,
  volumeRestrictions,
  nodeVolumeLimits,
  volumeBinding,
  volumeZone,
  podTopologySpread,
  interPodAffinity,
  dynamicResources,
];

export const postFilterPlugins: PostFilterPlugin[] = [dynamicResources, defaultPreemption];

export const scorePlugins: ScorePlugin[] = [
  taintToleration,
  nodeAffinity,
  nodeResourcesFit,
  podTopologySpread,
  interPodAffinity,
  balancedAllocation,
  imageLocality,
];

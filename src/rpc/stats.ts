/** What an agent tells of the use of its node, as JSON on a stream of the kind `stats`: counters, from which the hub makes rates. */

export interface Sample {
  /** When it was taken, in ms since the epoch by the agent's clock. */
  time: number;
  /** Nanoseconds of CPU used so far. */
  cpuNanos: number;
  workingSetBytes: number;
}

export interface ContainerSample extends Sample {
  /** Of this run: another one counts from 0 again. */
  id: string;
  name: string;
  /** When it began, in ms. */
  startedAt: number;
}

export interface PodSample {
  uid: string;
  namespace: string;
  name: string;
  containers: ContainerSample[];
}

export interface NodeStats {
  node: Sample;
  pods: PodSample[];
}

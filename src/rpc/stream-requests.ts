/** What an `Open` order carries as JSON: the request that the agent serves. */

export interface LogRequest {
  namespace: string;
  pod: string;
  uid: string;
  container: string;
  follow: boolean;
  previous: boolean;
  timestamps: boolean;
  /** Absent: from the start. */
  tailLines?: number;
  limitBytes?: number;
  sinceSeconds?: number;
  /** RFC 3339. */
  sinceTime?: string;
  /** Absent or `All`: both; else one of `Stdout`, `Stderr`. */
  stream?: string;
}

export interface ExecRequest {
  namespace: string;
  pod: string;
  uid: string;
  container: string;
  /** Empty for attach. */
  command: string[];
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

/** A TCP connection into a pod's network. */
export interface PortForwardRequest {
  namespace: string;
  pod: string;
  uid: string;
  port: number;
  /** Which address of the pod is dialled; its loopback addresses in turn when absent. */
  address?: string;
}

/** A connection to the HTTP endpoints that a kubelet has, or to another port of the node. */
export interface KubeletRequest {
  /** Absent: the agent's own endpoints. */
  port?: number;
}

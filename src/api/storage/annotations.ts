/** What the parties of persistent storage tell each other by annotations and finalizers. */

export const ANNOTATION = {
  /** On a claim: its binding is complete. */
  bindCompleted: 'pv.kubernetes.io/bind-completed',
  /** On a claim or volume: the controller made the binding, not a user. */
  boundByController: 'pv.kubernetes.io/bound-by-controller',
  /** On a volume: who made it. */
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  /** On a claim: who is to make its volume. */
  provisioner: 'volume.kubernetes.io/storage-provisioner',
  betaProvisioner: 'volume.beta.kubernetes.io/storage-provisioner',
  /** On a claim: the node that the scheduler has chosen for its first consumer. */
  selectedNode: 'volume.kubernetes.io/selected-node',
  /** The class, before there was a field. */
  betaClass: 'volume.beta.kubernetes.io/storage-class',
} as const;

export const CLAIM_PROTECTION = 'kubernetes.io/pvc-protection';
export const VOLUME_PROTECTION = 'kubernetes.io/pv-protection';
export const ATTRIBUTES_CLASS_PROTECTION = 'kubernetes.io/vac-protection';

/** Classes whose volumes only people make. */
export const NO_PROVISIONER = 'kubernetes.io/no-provisioner';

/** Keelson's own provisioner: a folder of the node where the first consumer runs. */
export const LOCAL_PATH_PROVISIONER = 'keelson.dev/local-path';
export const LOCAL_PATH_CLASS = 'local-path';
/** On a local-path volume: the name of the node that has its folder. */
export const LOCAL_PATH_NODE = 'keelson.dev/local-path-node';
/** On a Node: the folder below which its local-path volumes live. */
export const LOCAL_PATH_FOLDER = 'keelson.dev/local-path-folder';

/** How a node's status names the volumes of CSI drivers: `kubernetes.io/csi/<driver>^<handle>`. */
export const CSI_ATTACH_PREFIX = 'kubernetes.io/csi/';

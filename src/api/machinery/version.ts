/** The release of Kubernetes whose API and behaviour this is. */
export const KUBERNETES_VERSION = 'v1.36.0';

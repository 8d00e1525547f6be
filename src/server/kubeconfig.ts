/** The administrator's kubeconfig. */
import { stringify } from 'yaml';

export interface KubeconfigInput {
  clusterName: string;
  /** `https://host:port`. */
  server: string;
  /** PEM. */
  caCert: string;
  cert: string;
  key: string;
}

/** A kubeconfig with one context, `keelson-<cluster>`, as YAML. */
export function renderKubeconfig({ clusterName, server, caCert, cert, key }: KubeconfigInput): string {
  const name = `keelson-${clusterName}`;
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(caCert) } }],
    users: [{ name, user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}

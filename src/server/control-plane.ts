/** Puts a control plane together: store, API server, controllers, scheduler, hub. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../api/machinery/clock.js';
import { familyOf } from '../api/machinery/prefix.js';
import { secrets } from '../api/resources/index.js';
import type { AuditSettings } from '../apiserver/audit/index.js';
import type { FrontProxy } from '../apiserver/extensions/aggregation/remote.js';
import { FRONT_PROXY_NAME } from '../apiserver/extensions/aggregation/trust.js';
import { ApiServer } from '../apiserver/server.js';
import { loadAuthorization } from '../auth/configuration/authorization.js';
import { loadAuthentication } from '../auth/configuration/load.js';
import type { AuthSettings } from '../auth/configuration/settings.js';
import { writeFileAtomic } from '../auth/files.js';
import { createAuth } from '../auth/index.js';
import { type KeyPairPem, loadOrCreatePki, type Pki } from '../auth/pki.js';
import type { User } from '../auth/user.js';
import { Client, Informers } from '../client/index.js';
import { startControllers } from '../controllers/index.js';
import { Hub } from '../hub/hub.js';
import { startScheduler } from '../scheduler/index.js';
import { openLevelStore, type Store } from '../store/index.js';
import { dnsAddress, firstAddress, machineAddresses, outerAddress } from './addresses.js';
import { loadPodSecurity } from './admission-configuration.js';
import { ensureBootstrapToken } from './bootstrap-token.js';
import { signForSubject } from './certificate-signing.js';
import { ensureClusterInfo } from './cluster-info.js';
import { type Encryption, loadEncryption } from './encryption.js';
import { renderKubeconfig } from './kubeconfig.js';

export type { AuditSettings } from '../apiserver/audit/index.js';

export interface ControlPlaneOptions {
  clusterName: string;
  /** Holds `pki/`, `db/`, `encryption.yaml`, `admin.kubeconfig`, `join.json`. */
  dataDir: string;
  /** Address to listen on. */
  bind: string;
  /** 0: any free one. */
  apiPort: number;
  hubPort: number;
  /** Under which others reach this machine; its first address when absent. */
  advertiseAddress?: string;
  /** How long (ms) a node may be silent before it is Unknown; 40 s when absent. */
  nodeMonitorGracePeriod?: number;
  /** An EncryptionConfiguration; `encryption.yaml` in the data folder, made when it is missing, when absent. */
  encryptionKeyFile?: string;
  /** Who may come in, besides certificates of the cluster's CA and service accounts. */
  auth?: AuthSettings;
  /** Which requests are recorded, and where. */
  audit?: AuditSettings;
  /** Regular expressions of origins whose pages may use the API from a browser. */
  corsAllowedOrigins?: string[];
  /** Whether `/debug` tells of the queues of requests. */
  profiling?: boolean;
  /** An AdmissionConfiguration with the configuration of PodSecurity. */
  admissionControlConfigFile?: string;
  /** More DNS names and addresses that this server is called by. */
  certificateNames?: string[];
  /** Pods' addresses: one range, or one of each IP family with a comma, the cluster's default first. */
  clusterCidr: string;
  /** Length of the prefix that each node gets of it, of IPv4; 24 when absent. Of IPv6 it is 64. */
  nodeCidrMaskSize?: number;
  /** Services' addresses, of the same families. */
  serviceCidr: string;
  /** Addresses for Services of type LoadBalancer; the nodes' own when absent. */
  loadBalancerPool?: string;
  /** Whether the dashboard is served at `/ui/`; true when absent. */
  dashboard?: boolean;
  /** Keelson's own version. */
  version: string;
  logger: Logger;
  clock?: Clock;
}

export interface ControlPlane {
  apiPort: number;
  hubPort: number;
  kubeconfig: string;
  join: JoinInfo;
  /** A client within the process that acts as `user`. */
  clientFor(user: User): Client;
  close(): Promise<void>;
}

/** What an agent needs to join, kept in `<data>/join.json`. */
export interface JoinInfo {
  /** `host:port` of the hub. */
  server: string;
  token: string;
  caHash: string;
}

/** Where the build puts the dashboard's files. */
const DASHBOARD = fileURLToPath(new URL('../../ui/', import.meta.url));

const MASTERS: User = { name: 'system:keelson:server', groups: ['system:masters', 'system:authenticated'] };

/** Resolves when the API answers and agents can join; rejects with one clear error, and leaves nothing open. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await assemble(options, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  options: ControlPlaneOptions,
  closers: (() => Promise<unknown> | unknown)[],
  close: () => Promise<void>,
): Promise<ControlPlane> {
  const { dataDir, clusterName, logger, serviceCidr, clusterCidr } = options;
  const clock = options.clock ?? systemClock;
  const advertise = options.advertiseAddress ?? machineAddresses()[0] ?? '127.0.0.1';
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const [pki, { store, encryption }] = await Promise.all([
    loadOrCreatePki(join(dataDir, 'pki')),
    openStore(options, clock),
  ]);
  closers.push(() => store.close());
  encryption
    .finish(store)
    .catch((error) => logger.error({ err: error }, 'encryption at rest is not complete'));
  const serving = await issueCertificates(pki, options, advertise);
  const frontProxy = await frontProxyCertificate(join(dataDir, 'pki', 'front-proxy'));

  const settings = options.auth ?? {};
  const authentication = await loadAuthentication(settings, pki.caCert, clock);
  const authorizers = await loadAuthorization(settings, clock);
  const podSecurity = await loadPodSecurity(options.admissionControlConfigFile);
  const auth = createAuth({ store, pki, clock, authentication, authorizers });
  closers.push(() => auth.close());
  const { revocations } = auth;
  // Who was removed and comes back gets certificates that count.
  const signing: Pki = {
    ...pki,
    signCsr: (csr, subject) =>
      pki.signCsr(csr, { ...subject, after: revocations.validFrom(subject.commonName) ?? 0 }),
  };
  const apiServer = new ApiServer({
    store,
    authenticate: auth.authenticate,
    authorizer: auth.authorizer,
    tokens: auth.tokens,
    review: auth.review,
    onRevoked: (user, listener) => revocations.onRevoked(user, listener),
    podSecurity,
    operations: { 'rotate-encryption-key': () => encryption.rotate(store) },
    frontProxy,
    audit: options.audit,
    corsAllowedOrigins: options.corsAllowedOrigins,
    profiling: options.profiling,
    clientCa: pki.caCert,
    ...(options.dashboard === false ? {} : { dashboard: DASHBOARD }),
    serviceCidr,
    clusterName,
    version: options.version,
    clock,
    logger: logger.child({ component: 'apiserver' }),
  });
  closers.push(() => apiServer.close());
  const clientFor = (user: User) => new Client(apiServer.transport(user));

  auth.legacyTokens.onUse((namespace, name, labels) => {
    clientFor(MASTERS)
      .of(secrets)
      .patch(namespace, name, { metadata: { labels } }, { type: 'merge' })
      .catch((err) => logger.warn({ err, namespace, name }, 'the use of a token could not be told'));
  });

  const informers = new Informers(clientFor(MASTERS), { clock, logger });
  closers.push(() => informers.close());
  const hub = new Hub({
    clientFor,
    pki: signing,
    revocations,
    clock,
    logger: logger.child({ component: 'hub' }),
    informers,
    cluster: {
      cluster: clusterName,
      version: options.version,
      clusterCidr,
      clusterDomain: 'cluster.local',
      clusterDns: dnsAddress(serviceCidr),
      apiHost: firstAddress(serviceCidr),
      apiPort: 443,
    },
  });
  apiServer.setNodeStreams(hub);

  const { port: apiPort } = await apiServer.listen({
    host: options.bind,
    port: options.apiPort,
    ...serving.server,
    clientCa: pki.caCert,
    proxyCa: authentication.proxyCa,
    // Where pods have IPv6 addresses only, the `kubernetes` Service leads there by IPv6.
    advertise: { address: reachedBy(serviceCidr, advertise) },
  });
  const controllers = startControllers({
    clientFor: (name) => clientFor(systemUser(name)),
    informers,
    clock,
    logger,
    clusterCidr,
    nodeCidrMaskSize: options.nodeCidrMaskSize,
    version: options.version,
    ...(options.nodeMonitorGracePeriod ? { nodeMonitorGracePeriod: options.nodeMonitorGracePeriod } : {}),
    loadBalancerPool: options.loadBalancerPool,
    caCert: pki.caCert,
    legacyToken: (token) => auth.legacyTokens.issue(token),
    signCsr: (csr, days, ofKubelet) => signForSubject(signing, csr, days, ofKubelet),
  });
  closers.push(() => controllers.close());
  const scheduler = startScheduler({
    clientFor: (name) => clientFor(systemUser(name)),
    informers,
    clock,
    logger: logger.child({ component: 'scheduler' }),
  });
  closers.push(() => scheduler.close());
  const { port: hubPort } = await hub.listen({
    host: options.bind,
    port: options.hubPort,
    ...serving.server,
  });
  closers.push(() => hub.close());
  informers.start();

  const kubeconfig = renderKubeconfig({
    clusterName,
    server: `https://127.0.0.1:${apiPort}`,
    caCert: pki.caCert,
    ...serving.admin,
  });
  await ensureClusterInfo(clientFor(MASTERS), `https://${advertise}:${apiPort}`, pki.caCert);
  const joinInfo = await writeFiles(dataDir, kubeconfig, async (token) => ({
    server: `${advertise}:${hubPort}`,
    token: await ensureBootstrapToken(clientFor(MASTERS), token),
    caHash: pki.caHash,
  }));
  logger.info({ apiPort, hubPort, cluster: clusterName }, 'the control plane is ready');
  return { apiPort, hubPort, kubeconfig, join: joinInfo, clientFor, close };
}

/** An address of this machine of the family that Services have by default. @throws Error where it has none. */
function reachedBy(serviceCidr: string, advertise: string): string {
  const family = familyOf(firstAddress(serviceCidr));
  if (familyOf(advertise) === family) return advertise;
  const found = outerAddress(family);
  if (found === undefined)
    throw new Error(
      `This machine has no ${family} address that pods can reach the API at: give it one, or name the other family first.`,
    );
  return found;
}

/** The encrypted database. */
async function openStore(
  { dataDir, encryptionKeyFile, logger }: ControlPlaneOptions,
  clock: Clock,
): Promise<{ store: Store; encryption: Encryption }> {
  const file = encryptionKeyFile ?? join(dataDir, 'encryption.yaml');
  const encryption = await loadEncryption(file, encryptionKeyFile === undefined);
  const store = await openLevelStore(join(dataDir, 'db'), {
    clock,
    logger: logger.child({ component: 'store' }),
    transformer: encryption.transformer,
  }).catch((error) => {
    throw encryption.explain(error);
  });
  await encryption.keep().catch(async (error) => {
    await store.close();
    throw error;
  });
  return { store, encryption };
}

/** The identity of a controller or of the scheduler. */
function systemUser(name: string): User {
  const groups = name.startsWith('system:serviceaccount:')
    ? ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated']
    : ['system:authenticated'];
  return { name, groups };
}

/** From a CA of its own: whoever trusts it believes this server whom a request is from. */
async function frontProxyCertificate(dir: string): Promise<FrontProxy> {
  const pki = await loadOrCreatePki(dir, { commonName: 'front-proxy-ca' });
  return {
    ca: pki.caCert,
    ...(await pki.ensure('client', { commonName: FRONT_PROXY_NAME, usage: 'client' })),
  };
}

/** The serving certificate, for every name this server is called by, and the administrator's. */
async function issueCertificates(
  pki: Pki,
  { serviceCidr, certificateNames = [] }: ControlPlaneOptions,
  advertise: string,
): Promise<{ server: KeyPairPem; admin: KeyPairPem }> {
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const [server, admin] = await Promise.all([
    pki.ensure('server', {
      commonName: 'keelson-server',
      dnsNames: [
        ...new Set([
          ...['localhost', ...service, 'kubernetes.default.svc.cluster.local'],
          ...certificateNames.filter((name) => !isIP(name)),
        ]),
      ],
      ips: [
        ...new Set([
          '127.0.0.1',
          '::1',
          advertise,
          firstAddress(serviceCidr),
          ...certificateNames.filter(isIP),
          ...machineAddresses(),
          ...machineAddresses('IPv6'),
        ]),
      ],
      usage: 'server',
    }),
    pki.ensure('admin', {
      commonName: 'kubernetes-admin',
      organizations: ['system:masters'],
      usage: 'client',
    }),
  ]);
  return { server, admin };
}

/** Writes `admin.kubeconfig` and `join.json`; `make` gets the token that was there before. */
async function writeFiles(
  dataDir: string,
  kubeconfig: string,
  make: (token: string | undefined) => Promise<JoinInfo>,
): Promise<JoinInfo> {
  const file = join(dataDir, 'join.json');
  const known = existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as JoinInfo).token : undefined;
  const info = await make(known);
  await writeFileAtomic(join(dataDir, 'admin.kubeconfig'), kubeconfig);
  await writeFileAtomic(file, `${JSON.stringify(info)}\n`);
  return info;
}

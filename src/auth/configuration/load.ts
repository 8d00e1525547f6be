/** Authenticators as an administrator's settings ask for them. */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../api/machinery/clock.js';
import type { AuthenticateOptions, TokenAuthenticator } from '../authenticate.js';
import { oidcAuthenticator } from '../authenticators/oidc.js';
import { type AuthenticateProxied, requestHeader } from '../authenticators/request-header.js';
import { staticTokens } from '../authenticators/static-tokens.js';
import { webhookTokens } from '../authenticators/webhook.js';
import { ConfigurationError } from '../configuration-error.js';
import { readAuthentication } from './authentication.js';
import { oidcFromOptions } from './oidc-options.js';
import { readText, webhookTransport } from './read.js';
import type { AuthSettings } from './settings.js';

export interface ConfiguredAuthentication
  extends Pick<AuthenticateOptions, 'proxied' | 'isClient' | 'anonymous'> {
  /** Asked before service account tokens are. */
  staticTokens: TokenAuthenticator[];
  /** Asked after them. */
  tokens: TokenAuthenticator[];
  /** PEM of the authorities of front proxies. */
  proxyCa?: string;
}

/** Reads all files. Rejects with ConfigurationError. `clientCa`: PEM. */
export async function loadAuthentication(
  settings: AuthSettings,
  clientCa: string,
  clock: Clock,
): Promise<ConfiguredAuthentication> {
  const { authenticationConfig, tokenAuthFile, authenticationTokenWebhookConfigFile: webhook } = settings;
  const structured = authenticationConfig ? await readAuthentication(authenticationConfig) : undefined;
  const option = await oidcFromOptions(settings);
  if (structured && option)
    throw new ConfigurationError('--authentication-config and --oidc-… options can not be used together.');
  if (structured?.anonymous && settings.anonymousAuth !== undefined)
    throw new ConfigurationError(
      '--anonymous-auth and anonymous in --authentication-config can not be used together.',
    );
  const issuers = [...(structured?.issuers ?? []), ...(option ? [option] : [])];
  const anonymous = structured?.anonymous ?? (settings.anonymousAuth === false ? () => false : undefined);
  return {
    staticTokens: tokenAuthFile
      ? [staticTokens(await readText(tokenAuthFile, 'token file'), tokenAuthFile)]
      : [],
    tokens: [
      ...issuers.map((issuer) => oidcAuthenticator(issuer, clock)),
      ...(webhook ? [webhookTokens(await webhookTransport(webhook, 'authentication webhook'), clock)] : []),
    ],
    ...(anonymous ? { anonymous } : {}),
    ...(await frontProxy(settings, clientCa)),
  };
}

async function frontProxy(
  settings: AuthSettings,
  clientCa: string,
): Promise<{ proxied?: AuthenticateProxied; proxyCa?: string; isClient?: (raw: Buffer) => boolean }> {
  const file = settings.requestheaderClientCaFile;
  if (!file) return {};
  const proxyCa = await readText(file, 'CA of --requestheader-client-ca-file');
  const authority = new X509Certificate(clientCa);
  try {
    new X509Certificate(proxyCa);
  } catch {
    throw new ConfigurationError(
      `The CA of --requestheader-client-ca-file, ${file}, is not a PEM certificate.`,
    );
  }
  return {
    proxyCa,
    proxied: requestHeader({
      ca: proxyCa,
      allowedNames: settings.requestheaderAllowedNames ?? [],
      usernameHeaders: settings.requestheaderUsernameHeaders ?? ['X-Remote-User'],
      uidHeaders: settings.requestheaderUidHeaders ?? ['X-Remote-Uid'],
      groupHeaders: settings.requestheaderGroupHeaders ?? ['X-Remote-Group'],
      extraHeaderPrefixes: settings.requestheaderExtraHeadersPrefix ?? ['X-Remote-Extra-'],
    }),
    // A proxy's certificate is nobody's own.
    isClient: (raw) => {
      const certificate = new X509Certificate(raw);
      return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
    },
  };
}

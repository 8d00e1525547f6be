/** What an administrator may set of authentication and authorization: the names are those of kube-apiserver's options. */

export interface AuthSettings {
  /** Files. */
  authenticationConfig?: string;
  authorizationConfig?: string;
  tokenAuthFile?: string;
  authenticationTokenWebhookConfigFile?: string;
  authorizationWebhookConfigFile?: string;
  /** Whether requests without credentials count as anonymous; they do when absent. */
  anonymousAuth?: boolean;

  oidcIssuerUrl?: string;
  oidcClientId?: string;
  oidcUsernameClaim?: string;
  oidcUsernamePrefix?: string;
  oidcGroupsClaim?: string;
  oidcGroupsPrefix?: string;
  /** `claim=value`. */
  oidcRequiredClaim?: string[];
  oidcSigningAlgs?: string[];
  /** A file. */
  oidcCaFile?: string;

  /** A file. */
  requestheaderClientCaFile?: string;
  requestheaderAllowedNames?: string[];
  requestheaderUsernameHeaders?: string[];
  requestheaderUidHeaders?: string[];
  requestheaderGroupHeaders?: string[];
  requestheaderExtraHeadersPrefix?: string[];
}

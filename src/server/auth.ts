/** Who may come in, and what they may do. */
import { createAuthenticate } from '../auth/authenticate.js';
import type { Authorizer } from '../auth/user.js';

export function createAuth(): {
  authenticate: ReturnType<typeof createAuthenticate>;
  authorizer: Authorizer;
} {
  return {
    authenticate: createAuthenticate({ tokens: [], anonymous: true }),
    authorizer: {
      authorize: ({ user }) => ({
        decision: user.name === 'system:anonymous' ? 'no-opinion' : 'allow',
        reason: '',
      }),
    },
  };
}

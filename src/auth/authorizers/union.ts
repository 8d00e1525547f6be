/** Authorizers one after the other, and the one for administrators. */
import type { Answer, Attributes, Authorizer, Rules } from '../user.js';

const NO_OPINION: Answer = { decision: 'no-opinion', reason: '' };
const ALLOW: Answer = { decision: 'allow', reason: '' };

/** Members of `system:masters` may do everything. */
export const mastersAuthorizer: Authorizer = {
  authorize: ({ user }) => (user.groups.includes('system:masters') ? ALLOW : NO_OPINION),
};

/** The first that allows or denies decides; reasons of those without opinion are joined. */
export function unionAuthorizer(authorizers: Authorizer[]): Authorizer {
  /** Asks from `first` on; stays within this turn as long as the answers do. */
  const ask = (attributes: Attributes, first: number, reasons: string[]): Answer | Promise<Answer> => {
    for (let i = first; i < authorizers.length; i++) {
      const answer = authorizers[i]!.authorize(attributes);
      if (answer instanceof Promise)
        return answer.then((late) => take(late, reasons) ?? ask(attributes, i + 1, reasons));
      const decided = take(answer, reasons);
      if (decided) return decided;
    }
    return { decision: 'no-opinion', reason: reasons.join('\n') };
  };
  return {
    authorize: (attributes) => ask(attributes, 0, []),
    async rulesFor(user, namespace): Promise<Rules> {
      const all = await Promise.all(authorizers.map((authorizer) => authorizer.rulesFor?.(user, namespace)));
      const known = all.filter((rules) => rules !== undefined);
      return {
        rules: known.flatMap(({ rules }) => rules),
        incomplete: known.some(({ incomplete }) => incomplete),
        errors: known.flatMap(({ errors }) => errors),
      };
    },
  };
}

function take(answer: Answer, reasons: string[]): Answer | undefined {
  if (answer.decision !== 'no-opinion') return answer;
  if (answer.reason !== '') reasons.push(answer.reason);
  return undefined;
}

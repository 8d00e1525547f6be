/** A file or an option of the administrator's can't be used: one sentence that says which, and why. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** What is wrong with a build, and where. */
import { ImageError } from '../../runtime/types.js';

export class BuildError extends ImageError {
  /** `where`: `<file>:<line>`. */
  constructor(where: string, message: string) {
    super('InvalidName', `${where}: ${message}`);
  }
}

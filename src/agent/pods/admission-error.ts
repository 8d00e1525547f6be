/** A pod can't have what it asks for, in upstream's words. */
export class AdmissionError extends Error {
  readonly reason = 'UnexpectedAdmissionError';

  constructor(why: string) {
    super(`Allocate failed due to ${why}, which is unexpected`);
  }
}

/** ARG: which values a build's arguments have, and where they are known. */
import { hostPlatform } from '../../runtime/images/manifest.js';

/** Known without ARG, and of no weight for the cache. */
const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];
const predefined = new Set(PROXIES.flatMap((name) => [name, name.toLowerCase()]));

const platform = (kind: string): Record<string, string> => ({
  [`${kind}PLATFORM`]: `${hostPlatform.os}/${hostPlatform.architecture}`,
  [`${kind}OS`]: hostPlatform.os,
  [`${kind}ARCH`]: hostPlatform.architecture,
  [`${kind}VARIANT`]: '',
});

/** Of all stages; each has its own after its FROM. */
export class BuildArguments {
  /** Before the first FROM. */
  readonly global = new Map<string, string>(Object.entries({ ...platform('TARGET'), ...platform('BUILD') }));
  readonly #used = new Set<string>();

  constructor(readonly given: Readonly<Record<string, string>>) {}

  declareGlobal(name: string, value: string | undefined): void {
    this.#used.add(name);
    const known = this.given[name] ?? value ?? this.global.get(name);
    if (known !== undefined) this.global.set(name, known);
  }

  /** What it is in a stage that declares it. */
  declare(name: string, value: string | undefined): string | undefined {
    this.#used.add(name);
    return this.given[name] ?? value ?? this.global.get(name);
  }

  get proxies(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.given).filter(([name]) => predefined.has(name)));
  }

  /** Given, but wanted nowhere. */
  get unused(): string[] {
    return Object.keys(this.given).filter((name) => !this.#used.has(name) && !predefined.has(name));
  }
}

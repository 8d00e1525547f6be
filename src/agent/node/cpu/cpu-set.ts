/** Sets of CPUs as the kernel writes them: `0-2,5` (cpuset(7), "List format"). Pure. */

/** In ascending order. @throws Error for what is no list */
export function parseCpus(text: string): number[] {
  const cpus = text
    .trim()
    .split(',')
    .filter(Boolean)
    .flatMap((part) => {
      const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(part.trim()) ?? [];
      if (first === '' || Number(last) < Number(first)) throw new Error(`"${text}" is not a list of CPUs`);
      return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
    });
  return [...new Set(cpus)].sort((a, b) => a - b);
}

export function formatCpus(cpus: Iterable<number>): string {
  const ranges: [first: number, last: number][] = [];
  for (const cpu of [...cpus].sort((a, b) => a - b)) {
    const range = ranges.at(-1);
    if (range && range[1] === cpu - 1) range[1] = cpu;
    else ranges.push([cpu, cpu]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

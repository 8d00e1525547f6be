/** Usage over the last minutes, as a line. */
import type { Sample } from '../api/usage.js';
import { bytes, cores } from '../lib/format.js';

const WRITE = { cpu: cores, memory: bytes };
const NAME = { cpu: 'CPU', memory: 'Memory' };

interface PlotProps {
  samples: readonly Sample[] | undefined;
  what: 'cpu' | 'memory';
  /** The top of the plot: what there is of it; the highest sample when absent. */
  most?: number | undefined;
  large?: boolean;
}

export function Plot({ samples = [], what, most, large = false }: PlotProps) {
  const last = samples.at(-1);
  if (!last) return <span class="faint">–</span>;
  const [width, height] = large ? [320, 72] : [44, 20];
  const top = most || Math.max(...samples.map((sample) => sample[what])) * 1.25 || 1;
  const from = samples[0]!.at;
  const span = Math.max(last.at - from, 60_000);
  const points = samples.map((sample) => [
    width - ((last.at - sample.at) / span) * width,
    height - 1 - Math.min(sample[what] / top, 1) * (height - 3),
  ]);
  if (points.length === 1) points.unshift([0, points[0]![1]!]);
  const line = points.map(([x, y]) => `${x!.toFixed(1)},${y!.toFixed(1)}`).join(' ');
  const text = WRITE[what](last[what]);
  const of = most ? ` of ${WRITE[what](most)} (${Math.round((last[what] / most) * 100)}%)` : '';
  const left = points[0]![0]!.toFixed(1);
  return (
    <span class={large ? 'plot large' : 'plot'}>
      {large && (
        <span class="plot-name">
          {NAME[what]} <b>{text}</b>
          {of}
        </span>
      )}
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${NAME[what]} ${text}${of}`}
      >
        <polygon points={`${left},${height} ${line} ${width},${height}`} />
        <polyline points={line} />
      </svg>
      {!large && <span class="plot-value">{text}</span>}
    </span>
  );
}

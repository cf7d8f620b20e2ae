/** A distribution as bars, and as a table. */

import type { JSX } from 'react';
import { colour, css, size } from '../tokens.ts';
import { short } from './scale.ts';
import { Table } from './table.tsx';
import { useWords } from './words.ts';

export interface BarsProps {
  bins: readonly { label: string; count: number }[];
  /** What is distributed: the name of the column. */
  label: string;
  /** Values that no bar shows. */
  other?: number;
  /** In pixels. */
  height?: number;
}

export function Bars({ bins, label, other = 0, height = size.bar.height }: BarsProps): JSX.Element {
  const trans = useWords();
  const shown = other > 0 ? [...bins, { label: trans.__('other'), count: other }] : bins;
  const most = Math.max(1, ...shown.map(bin => bin.count));
  const top = shown.reduce((best, bin) => (bin.count > best.count ? bin : best), {
    label: '',
    count: -1
  });
  const width = size.chart.width;
  const step = width / Math.max(1, shown.length);
  const gap = Math.min(2, step * 0.15);
  const told =
    shown.length === 0
      ? trans.__('%1: no values', label)
      : trans.__('%1: %2 bars; most often %3 (%4)', label, shown.length, top.label, short(top.count));
  return (
    <figure className={css.chart}>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        style={{ height }}
        preserveAspectRatio="none"
        role="img"
        aria-label={told}
      >
        {shown.map((bin, index) => {
          const tall = bin.count === 0 ? 0 : Math.max(size.bar.minimum, (bin.count / most) * height);
          return (
            <rect
              key={index}
              x={index * step + gap / 2}
              y={height - tall}
              width={Math.max(0.5, step - gap)}
              height={tall}
              fill={other > 0 && index === shown.length - 1 ? colour.line : colour.brand}
            >
              <title>{`${bin.label}: ${short(bin.count)}`}</title>
            </rect>
          );
        })}
      </svg>
      {shown.length > 0 && (
        <div className="nx-Bars-ends" aria-hidden="true">
          <span>{shown[0]!.label}</span>
          {shown.length > 1 && <span>{shown.at(-1)!.label}</span>}
        </div>
      )}
      <details>
        <summary>{trans.__('As a table')}</summary>
        <Table
          caption={trans.__('Distribution of %1', label)}
          head={[trans.__('Value'), { text: trans.__('Count'), number: true }]}
          rows={shown.map(bin => [bin.label, short(bin.count)])}
        />
      </details>
    </figure>
  );
}

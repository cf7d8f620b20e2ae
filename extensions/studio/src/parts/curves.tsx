/** Named series as lines, and as a table; it may grow while it is shown. */

import type { JSX } from 'react';
import { colour, css, size } from '../tokens.ts';
import { extent, scale, short, ticks } from './scale.ts';
import { Table } from './table.tsx';
import { useWords } from './words.ts';

export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
  /** Drawn with dashes. */
  dashed?: boolean;
}

export interface CurvesProps {
  series: readonly Series[];
  /** What the chart shows. */
  label: string;
  xLabel: string;
  yLabel?: string;
  /** In pixels. */
  height?: number;
}

export function Curves(props: CurvesProps): JSX.Element {
  const { series, label, xLabel, yLabel = '' } = props;
  const trans = useWords();
  const { width, left, right, top, bottom } = size.chart;
  const height = props.height ?? size.chart.height;
  const xs = extent(series.flatMap(one => one.points.map(point => point[0])));
  const ys = extent(series.flatMap(one => one.points.map(point => point[1])));
  const room = (ys[1] - ys[0]) * 0.05 || Math.abs(ys[0]) * 0.05 || 0.5;
  const x = scale(xs[0], xs[1], left, width - right);
  const y = scale(ys[0] - room, ys[1] + room, height - bottom, top);
  const last = series
    .filter(one => one.points.length > 0)
    .map(one => `${one.name} ${short(one.points.at(-1)![1])}`)
    .join(', ');
  const told = last ? trans.__('%1. Now: %2', label, last) : trans.__('%1. No values yet', label);
  const across = [...new Set(series.flatMap(one => one.points.map(point => point[0])))].sort(
    (a, b) => a - b
  );
  const found = series.map(one => new Map(one.points.map(point => [point[0], point[1]])));
  return (
    <figure className={css.chart}>
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={told}>
        {ticks(ys[0] - room, ys[1] + room, 5).map(value => (
          <g key={value} transform={`translate(0 ${y(value)})`}>
            <line x1={left} x2={width - right} stroke={colour.line} strokeWidth={0.5} />
            <text x={left - 6} dy="0.32em" textAnchor="end">
              {short(value)}
            </text>
          </g>
        ))}
        {ticks(xs[0], xs[1], 6).map(value => (
          <text key={value} x={x(value)} y={height - bottom + 14} textAnchor="middle">
            {short(value)}
          </text>
        ))}
        <text x={width - right} y={height - 3} textAnchor="end">
          {xLabel}
        </text>
        {yLabel && (
          <text x={2} y={top + 2}>
            {yLabel}
          </text>
        )}
        {series.map((one, index) => {
          const stroke = colour.series[index % colour.series.length];
          const dash = one.dashed ? '5 3' : undefined;
          const end = one.points.at(-1);
          return (
            <g key={one.name}>
              <polyline
                points={one.points.map(([a, b]) => `${x(a)},${y(b)}`).join(' ')}
                fill="none"
                stroke={stroke}
                strokeWidth={1.75}
                strokeDasharray={dash}
                strokeLinejoin="round"
              />
              {end && <circle cx={x(end[0])} cy={y(end[1])} r={2.5} fill={stroke} />}
            </g>
          );
        })}
      </svg>
      <ul className={css.legend} aria-hidden="true">
        {series.map((one, index) => (
          <li key={one.name}>
            <svg width="20" height="8">
              <line
                x1="0"
                x2="20"
                y1="4"
                y2="4"
                stroke={colour.series[index % colour.series.length]}
                strokeWidth="2"
                strokeDasharray={one.dashed ? '5 3' : undefined}
              />
            </svg>
            {one.name}
            {one.points.length > 0 && <b>{short(one.points.at(-1)![1])}</b>}
          </li>
        ))}
      </ul>
      <details>
        <summary>{trans.__('As a table')}</summary>
        <Table
          caption={label}
          head={[
            { text: xLabel, number: true },
            ...series.map(one => ({ text: one.name, number: true }))
          ]}
          rows={across.map(at => [
            short(at),
            ...found.map(values => {
              const value = values.get(at);
              return value === undefined ? '' : short(value);
            })
          ])}
        />
      </details>
    </figure>
  );
}

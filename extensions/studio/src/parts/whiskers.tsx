/** Measured values with their intervals, a row each, and as a table. */

import type { JSX } from 'react';
import { colour, css, size } from '../tokens.ts';
import { extent, scale, short, ticks } from './scale.ts';
import { Table } from './table.tsx';
import { useWords } from './words.ts';

export interface Interval {
  name: string;
  value: number;
  low: number;
  high: number;
  /** Colours the row; the legend and the words must say it too. */
  kind?: 'good' | 'bad' | 'plain';
}

export interface WhiskersProps {
  rows: readonly Interval[];
  /** What the chart shows. */
  label: string;
  /** A line across all rows: a limit. */
  mark?: { value: number; text: string };
  /** The axis; from the values otherwise. */
  range?: readonly [number, number];
}

const KINDS = { good: colour.good, bad: colour.bad, plain: colour.brand };

export function Whiskers({ rows, label, mark, range }: WhiskersProps): JSX.Element {
  const trans = useWords();
  const { width, right } = size.chart;
  const { row, label: left, dot } = size.whisker;
  const all = rows.flatMap(one => [one.low, one.high, one.value]);
  const [low, high] = range ?? extent(mark ? [...all, mark.value] : all);
  const room = range ? 0 : (high - low) * 0.05 || Math.abs(low) * 0.05 || 0.5;
  const x = scale(low - room, high + room, left, width - right - dot);
  const bottom = rows.length * row + (mark ? 16 : 4);
  const top = mark ? 16 : 4;
  const told = rows.map(one => `${one.name} ${short(one.value)}`).join(', ');
  return (
    <figure className={css.chart}>
      <svg
        viewBox={`0 0 ${width} ${bottom + 20}`}
        role="img"
        aria-label={trans.__('%1: %2', label, told)}
      >
        {ticks(low - room, high + room, 5).map(value => (
          <g key={value} transform={`translate(${x(value)} 0)`}>
            <line y1={top} y2={bottom} stroke={colour.line} strokeWidth={0.5} />
            <text y={bottom + 14} textAnchor="middle">
              {short(value)}
            </text>
          </g>
        ))}
        {mark && (
          <g transform={`translate(${x(mark.value)} 0)`}>
            <line y1={top - 2} y2={bottom} stroke={colour.warn} strokeDasharray="4 3" />
            <text y={10} textAnchor="middle">
              {mark.text}
            </text>
          </g>
        )}
        {rows.map((one, index) => {
          const stroke = KINDS[one.kind ?? 'plain'];
          return (
            <g key={index} transform={`translate(0 ${top + (index + 0.5) * row})`}>
              <text x={left - 8} dy="0.32em" textAnchor="end">
                {one.name.length > 22 ? `${one.name.slice(0, 21)}…` : one.name}
              </text>
              <line x1={x(one.low)} x2={x(one.high)} stroke={stroke} strokeWidth={1.5} />
              {[one.low, one.high].map((end, side) => (
                <line key={side} x1={x(end)} x2={x(end)} y1={-4} y2={4} stroke={stroke} />
              ))}
              <circle cx={x(one.value)} r={dot} fill={stroke} />
              <title>{`${one.name}: ${short(one.value)} (${short(one.low)} … ${short(one.high)})`}</title>
            </g>
          );
        })}
      </svg>
      <details>
        <summary>{trans.__('As a table')}</summary>
        <Table
          caption={label}
          rowHeadings
          head={[
            trans.__('Name'),
            { text: trans.__('Value'), number: true },
            { text: trans.__('Low'), number: true },
            { text: trans.__('High'), number: true }
          ]}
          rows={rows.map(one => [one.name, short(one.value), short(one.low), short(one.high)])}
        />
      </details>
    </figure>
  );
}

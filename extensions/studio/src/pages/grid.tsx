/** A product's rows as a table: kinds under the names, missing cells marked. */

import { useState, type JSX, type ReactNode } from 'react';
import type { Column } from '@nexus-workbench/contract';
import { Button, Table, useWords, type Heading } from '../parts/index.ts';
import { css } from '../tokens.ts';

/** Columns drawn at once: a table may have thousands. */
const WIDE = 100;

const NUMBERS = new Set(['number', 'integer']);

export interface GridProps {
  caption: string;
  columns: readonly Column[];
  rows: readonly (readonly unknown[])[];
  /** The number of the first row, counted from 1; no numbers where it is not given. */
  first?: number;
}

/** Every cell is text: what a table holds is never drawn as markup. */
export function Grid({ caption, columns, rows, first }: GridProps): JSX.Element {
  const trans = useWords();
  const [from, setFrom] = useState(0);
  const start = from < columns.length ? from : 0;
  const shown = columns.slice(start, start + WIDE);
  const numbers: Heading[] = first === undefined ? [] : [{ text: trans.__('Row'), number: true }];
  const head = shown.map(column => ({
    number: NUMBERS.has(column.kind),
    title: `${column.name}: ${column.type}`,
    text: (
      <>
        <span className="nx-Grid-name">{column.name}</span>
        <span className="nx-Grid-kind">
          {column.kind}
          {column.sensitive && ` · ${trans.__('sensitive')}`}
        </span>
      </>
    )
  }));
  const gap: ReactNode = <span className="nx-Grid-missing">{trans.__('missing')}</span>;
  return (
    <div className="nx-DataGrid">
      {columns.length > WIDE && (
        <div className={css.row}>
          <Button disabled={start === 0} onClick={() => setFrom(Math.max(0, start - WIDE))}>
            {trans.__('Earlier columns')}
          </Button>
          <span>
            {trans.__(
              'Columns %1 to %2 of %3',
              start + 1,
              start + shown.length,
              columns.length.toLocaleString()
            )}
          </span>
          <Button
            disabled={start + WIDE >= columns.length}
            onClick={() => setFrom(start + WIDE)}
          >
            {trans.__('Further columns')}
          </Button>
        </div>
      )}
      <Table
        caption={caption}
        head={[...numbers, ...head]}
        rowHeadings={first !== undefined}
        rows={rows.map((row, at) => [
          ...(first === undefined ? [] : [first + at]),
          ...shown.map((_, index) => show(row[start + index]) ?? gap)
        ])}
      />
    </div>
  );
}

/** A cell in text; null for a missing value. */
export function show(value: unknown): string | null {
  if (value === null || value === undefined) {
    return null;
  }
  if (typeof value === 'number') {
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(7)));
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** `person:ada` → `ada`; other kinds of actors keep their kind. */
export function who(actor: string): string {
  return actor.replace(/^person:/, '');
}

/** A name and what it holds, line by line. */
export function Facts({ items }: { items: readonly (readonly [string, ReactNode])[] }): JSX.Element {
  return (
    <dl className="nx-FactGrid">
      {items.map(([name, value]) => (
        <div key={name} className={wide(value) ? 'nx-mod-wide' : undefined}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A sentence takes the whole line. */
function wide(value: ReactNode): boolean {
  return typeof value === 'string' && value.length > 60;
}

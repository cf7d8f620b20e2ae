/** A table that a screen reader can read, in a frame that scrolls by itself. */

import type { JSX, ReactNode } from 'react';
import { css } from '../tokens.ts';

export interface Heading {
  text: ReactNode;
  /** Right-aligned, with figures of one width. */
  number?: boolean;
  /** A longer explanation, shown on hover. */
  title?: string;
}

export interface TableProps {
  /** Names the table; hidden unless `showCaption`. */
  caption: string;
  showCaption?: boolean;
  head: readonly (string | Heading)[];
  rows: readonly (readonly ReactNode[])[];
  /** One per row; the index otherwise. */
  keys?: readonly string[];
  /** The first cell of a row is the row's heading. */
  rowHeadings?: boolean;
}

export function Table(props: TableProps): JSX.Element {
  const head = props.head.map<Heading>(cell => (typeof cell === 'string' ? { text: cell } : cell));
  return (
    <div className={css.scroll} tabIndex={0} role="group" aria-label={props.caption}>
      <table className={css.table}>
        <caption className={props.showCaption ? undefined : 'nx-mod-hidden'}>{props.caption}</caption>
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th
                key={index}
                scope="col"
                title={cell.title}
                className={cell.number ? css.number : undefined}
              >
                {cell.text}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row, at) => (
            <tr key={props.keys?.[at] ?? at}>
              {row.map((cell, index) => {
                const style = head[index]?.number ? css.number : undefined;
                return props.rowHeadings && index === 0 ? (
                  <th key={index} scope="row" className={style}>
                    {cell}
                  </th>
                ) : (
                  <td key={index} className={style}>
                    {cell}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the product page knows: pages of the grid, first queries, the pictures of a column. */

import type { ColumnProfile, Product, Profile } from '@nexus-workbench/contract';

/** Rows on a page of the grid. */
export const PAGE = 50;

/** A page of rows, within the table. */
export function page(offset: number, rows: number): { first: number; last: number; at: number } {
  const at = Math.min(Math.max(0, offset), Math.max(0, rows - 1));
  const start = at - (at % PAGE);
  return { first: rows === 0 ? 0 : start + 1, last: Math.min(rows, start + PAGE), at: start };
}

/** A name as DuckDB takes it: quoted, unless it is a plain word. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** A query to begin with: the rows, or how often each value of the first category is there. */
export function firstQuery(product: Product): string {
  const column = product.columns.find(each => ['category', 'boolean'].includes(each.kind));
  const table = quoted(product.name);
  return column
    ? `SELECT ${quoted(column.name)}, count(*) AS rows\nFROM ${table}\nGROUP BY 1\nORDER BY rows DESC`
    : `SELECT *\nFROM ${table}\nLIMIT 100`;
}

/** What to say beside a column's name. */
export type Mark = 'key' | 'sensitive' | 'looks-sensitive' | 'leakage' | 'constant' | 'missing';

/** Marks of a column, the ones to look at first. */
export function marks(column: ColumnProfile, profile: Profile): Mark[] {
  const found: Mark[] = [];
  if (leak(column.name, profile)) {
    found.push('leakage');
  }
  if (column.sensitive) {
    found.push('sensitive');
  } else if (column.looks_sensitive) {
    found.push('looks-sensitive');
  }
  if (column.key) {
    found.push('key');
  }
  if (column.count > 0 && column.distinct <= 1) {
    found.push('constant');
  }
  if (column.missing_share >= 0.5) {
    found.push('missing');
  }
  return found;
}

/** The profile's sentence on this column telling the target, or an empty text. */
export function leak(name: string, profile: Profile): string {
  return (
    profile.leakage.find(
      sentence => sentence.startsWith(`${name} `) || sentence.includes(`rows with ${name} = `)
    ) ?? ''
  );
}

/** `12.5 %`; shares that would round to nothing say so. */
export function share(part: number): string {
  return part > 0 && part < 0.001 ? '< 0.1 %' : `${(100 * part).toFixed(1)} %`;
}

/** The least, the middle and the most, in a few characters each. */
export function spread(column: ColumnProfile): string {
  const shown = (value: number | string | null): string =>
    value === null
      ? '–'
      : typeof value === 'number'
        ? String(Number(value.toPrecision(4)))
        : value.slice(0, 24);
  const ordered = ['number', 'integer', 'time'].includes(column.kind);
  if (!ordered || (column.minimum === null && column.maximum === null)) {
    return '';
  }
  const middle = column.median === null ? '' : ` · ${shown(column.median)}`;
  return `${shown(column.minimum)}${middle} · ${shown(column.maximum)}`;
}

/** What the page that registers a table knows: which files it takes, names, the request. */

import type { DataRegisterRequest, Guess, Preview } from '@nexus-workbench/contract';

/** Endings of the files that can become a product. */
export const ENDINGS = [
  '.csv',
  '.tsv',
  '.txt',
  '.csv.gz',
  '.tsv.gz',
  '.jsonl',
  '.ndjson',
  '.parquet',
  '.arrow',
  '.feather',
  '.xlsx',
  '.xls'
] as const;

/** For the file dialog: the last part of each ending. */
export const ACCEPT = [...new Set(ENDINGS.map(ending => `.${ending.split('.').at(-1)}`))].join(',');

/** Whether a file's name ends as a table's does. The service looks inside, whatever the name. */
export function known(name: string): boolean {
  const lower = name.toLowerCase();
  return ENDINGS.some(ending => lower.endsWith(ending));
}

/** What is asked of the person before registering. */
export interface Answers {
  name: string;
  description: string;
  /** Columns to be treated as sensitive. */
  sensitive: string[];
}

/** The answers a guess suggests: its name, its sensitive columns. */
export function suggested(guess: Guess): Answers {
  return { name: guess.suggested_name, description: '', sensitive: [...guess.sensitive] };
}

/** With the column's mark set or taken away; order is the table's. */
export function mark(answers: Answers, guess: Guess, column: string, on: boolean): Answers {
  const wanted = new Set(answers.sensitive);
  if (on) {
    wanted.add(column);
  } else {
    wanted.delete(column);
  }
  return {
    ...answers,
    sensitive: guess.columns.map(each => each.name).filter(name => wanted.has(name))
  };
}

/** What the service is asked. */
export function registration(source: string, guess: Guess, answers: Answers): DataRegisterRequest {
  return {
    source,
    format: guess.format as NonNullable<DataRegisterRequest['format']>,
    name: answers.name.trim(),
    description: answers.description.trim(),
    sensitive: answers.sensitive
  };
}

/** Missing cells of each column in the rows that are shown. */
export function missing(guess: Guess): number[] {
  return guess.columns.map(
    (_, index) => guess.rows.filter(row => row[index] === null || row[index] === undefined).length
  );
}

/** What stands for a source in words and in code. */
export interface Origin {
  /** A file's name, a path of the project, or a query. */
  name: string;
  /** In bytes; null where it is not known. */
  size: number | null;
}

/** `SELECT …`, with or without `sql:` before it; null for a path. */
export function query(typed: string): string | null {
  const text = typed.trim().replace(/^sql:\s*/i, '');
  return /^(select|with|from)\s/i.test(text) ? text : null;
}

/** The rows of a query, looked at as those of a file are. */
export function guessOf(preview: Preview): Guess {
  return {
    format: 'auto',
    columns: preview.columns,
    rows: preview.rows,
    total: preview.truncated ? null : preview.rows.length,
    questions: [],
    sensitive: preview.columns.filter(column => column.sensitive).map(column => column.name),
    warnings: [],
    suggested_name: '',
    suggested_target: null
  };
}

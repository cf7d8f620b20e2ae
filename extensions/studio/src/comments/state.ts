/** Threads beside a notebook, mentions in a text: without a document or a network. */

import type { Comment, Mention, Thread } from '@nexus-workbench/contract';

export interface CellRef {
  id: string;
  /** How it begins. */
  label: string;
}

export interface Group {
  kind: 'whole' | 'cell' | 'gone';
  /** The id of the cell; empty for the others. */
  part: string;
  /** Where the cell stands, from 1; 0 for the others. */
  number: number;
  label: string;
  threads: Thread[];
}

/** The first line of a cell that says something. */
export function firstLine(source: string): string {
  const line = source.split('\n').find(one => one.trim() !== '') ?? '';
  return line.trim().replace(/^#+\s+/, '').slice(0, 120);
}

/** Threads in the order of the cells they are about; last those whose cell is gone. */
export function arrange(
  threads: readonly Thread[],
  cells: readonly CellRef[],
  resolved: boolean
): Group[] {
  const shown = threads.filter(one => resolved || !one.resolved_at);
  const about = new Map<string, Thread[]>();
  for (const one of shown) {
    const others = about.get(one.anchor.part);
    if (others) {
      others.push(one);
    } else {
      about.set(one.anchor.part, [one]);
    }
  }
  const groups: Group[] = [];
  const whole = about.get('');
  if (whole) {
    groups.push({ kind: 'whole', part: '', number: 0, label: '', threads: whole });
  }
  cells.forEach(({ id, label }, at) => {
    const found = about.get(id);
    if (found) {
      groups.push({ kind: 'cell', part: id, number: at + 1, label, threads: found });
    }
  });
  const there = new Set(['', ...cells.map(cell => cell.id)]);
  const gone = shown.filter(one => !there.has(one.anchor.part));
  if (gone.length > 0) {
    groups.push({ kind: 'gone', part: '', number: 0, label: '', threads: gone });
  }
  return groups;
}

/** How many open threads each cell has. */
export function openCounts(threads: readonly Thread[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { anchor, resolved_at } of threads) {
    if (!resolved_at && anchor.part) {
      counts.set(anchor.part, (counts.get(anchor.part) ?? 0) + 1);
    }
  }
  return counts;
}

export interface Piece {
  text: string;
  /** Whom it names; null for plain text. */
  person: string | null;
}

const NAMED = /(?<![\p{L}\p{N}_@.+/-])@([a-z0-9][a-z0-9._-]{0,31})(?![\p{L}\p{N}_])/giu;

/** A text cut where it names one of these people; as `workbench/comments/mentions.py` does. */
export function pieces(text: string, people: readonly string[]): Piece[] {
  const found: Piece[] = [];
  let start = 0;
  for (const match of text.matchAll(NAMED)) {
    let name = match[1]!.toLowerCase();
    while (name && !people.includes(name) && /[._-]$/.test(name)) {
      name = name.slice(0, -1);
    }
    if (people.includes(name)) {
      const end = match.index + 1 + name.length;
      found.push({ text: text.slice(start, match.index), person: null });
      found.push({ text: text.slice(match.index, end), person: name });
      start = end;
    }
  }
  found.push({ text: text.slice(start), person: null });
  return found.filter(one => one.text !== '');
}

export interface Completion {
  /** Where the `@` stands. */
  from: number;
  names: string[];
}

const MOST_NAMES = 6;

/** The members that the name being typed before the caret may become; null if none is. */
export function completion(
  text: string,
  caret: number,
  members: readonly string[]
): Completion | null {
  const match = /(?<![\p{L}\p{N}_@.+/-])@([a-z0-9._-]{0,31})$/iu.exec(text.slice(0, caret));
  if (!match) {
    return null;
  }
  const typed = match[1]!.toLowerCase();
  const begin = members.filter(name => name.startsWith(typed));
  const within = members.filter(name => !name.startsWith(typed) && name.includes(typed));
  const names = [...begin, ...within].slice(0, MOST_NAMES);
  return names.length > 0 ? { from: match.index, names } : null;
}

/** The text with the name in place of what was typed of it, and where the caret is then. */
export function complete(
  text: string,
  caret: number,
  from: number,
  name: string
): { text: string; caret: number } {
  const rest = text.slice(caret);
  const put = `@${name}${/^\s/.test(rest) ? '' : ' '}`;
  return { text: text.slice(0, from) + put + rest, caret: from + put.length };
}

/** Own words only. */
export function mayChange(comment: Comment, actor: string): boolean {
  return comment.made_by === `person:${actor}` && !comment.deleted_at;
}

/** Own words; an owner of the project anybody's. */
export function mayDelete(comment: Comment, actor: string, role: string): boolean {
  return !comment.deleted_at && (role === 'owner' || mayChange(comment, actor));
}

/** Mentions that came since some were known. */
export function arrived(
  mentions: readonly Mention[],
  known: ReadonlySet<string>
): readonly Mention[] {
  return mentions.filter(one => !known.has(one.comment.id));
}

/** A text in one line, cut after some characters. */
export function brief(text: string, most = 80): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** The name of a notebook in its folder. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

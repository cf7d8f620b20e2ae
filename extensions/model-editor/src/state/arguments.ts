/**
 * What a function of torch is given, as JSON. The service has the last word
 * (`graphs/arguments.py`); this says it while one still writes.
 */

import type { Json } from '../wire.ts';

/** Lists in lists, and values in all of them. */
export const DEEPEST = 5;
export const MOST = 512;
/** Where a slice ends that goes to the end, 2⁶³ - 1: the nearest number that a browser has. */
const END = 2 ** 63;
/** Letters of a part that is told. */
const BRIEF = 60;

const NAME = /^[a-z][a-z_0-9]{0,31}$/;
const WORD = /^[A-Za-z0-9_,.> -]{0,64}$/;
const NUMBER = /^[+-]?(inf|infinity|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i;
const TYPES = new Set(
  'float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 bool'.split(' ')
);

export type WrongArguments = 'json' | 'list' | 'map' | 'name' | 'word' | 'argument' | 'large' | 'much';

/** What does not fit, and which part of it. */
export interface Misfit {
  readonly wrong: WrongArguments;
  readonly part?: string;
}

/** A list of arguments, or a map of them by their names. */
export function read(text: string, named: boolean): { readonly value: Json } | Misfit {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return { wrong: 'json' };
  }
  const left = { values: MOST };
  let wrong: Misfit | null = null;
  if (!named) {
    wrong = isList(value) ? misfit(value, DEEPEST, left) : { wrong: 'list' };
  } else if (!isMap(value)) {
    wrong = { wrong: 'map' };
  } else {
    for (const [name, each] of Object.entries(value)) {
      wrong ??= NAME.test(name) ? misfit(each, DEEPEST, left) : { wrong: 'name', part: clipped(name) };
    }
  }
  return wrong ?? { value };
}

/** As JSON in one line, with room to read it. */
export function json(value: Json): string {
  if (isList(value)) {
    return `[${value.map(json).join(', ')}]`;
  }
  if (isMap(value)) {
    const all = entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${json(each)}`);
    return `{${all.join(', ')}}`;
  }
  return value === END ? '9223372036854775807' : JSON.stringify(value);
}

/** For people who look, not change: `in 0`, `rows 1`, `-inf`, `end`. */
export function brief(value: Json): string {
  if (isList(value)) {
    return `[${value.map(brief).join(', ')}]`;
  }
  if (isMap(value)) {
    const plain = value.number ?? value.type;
    return typeof plain === 'string'
      ? plain
      : entries(value)
          .map(([name, each]) => `${name} ${brief(each)}`)
          .join(' ');
  }
  return value === END ? 'end' : String(value);
}

export function clipped(text: string): string {
  return text.length > BRIEF ? `${text.slice(0, BRIEF - 1)}…` : text;
}

export function isMap(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** A shared document keeps no order of them: the rows, then the others by their names. */
export function entries(value: { readonly [key: string]: Json }): [string, Json][] {
  const rank = ([name]: readonly [string, Json]): string => (name === 'rows' ? '' : name);
  return Object.entries(value).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

function misfit(value: Json, depth: number, left: { values: number }): Misfit | null {
  left.values -= 1;
  if (depth < 0 || left.values < 0) {
    return { wrong: 'much' };
  }
  if (isList(value)) {
    let wrong: Misfit | null = null;
    for (const each of value) {
      wrong ??= misfit(each, depth - 1, left);
    }
    return wrong;
  }
  if (typeof value === 'number') {
    // Beyond these the browser reads other numbers than were written.
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER || value === END ? null : { wrong: 'large' };
  }
  if (typeof value === 'string') {
    return WORD.test(value) ? null : { wrong: 'word', part: clipped(value) };
  }
  return value === null || typeof value === 'boolean' || isSaid(value)
    ? null
    : { wrong: 'argument', part: clipped(json(value)) };
}

/** Whether it says what JSON has no word for. */
function isSaid(value: { readonly [key: string]: Json }): boolean {
  const said = value.number ?? value.type;
  switch (Object.keys(value).sort().join()) {
    case 'in':
      return whole(value.in, MOST) && Number(value.in) >= 0;
    case 'rows':
      return whole(value.rows, 2 ** 31);
    case 'plus,rows':
      return whole(value.rows, 2 ** 31) && whole(value.plus, 2 ** 31);
    case 'number':
      return typeof said === 'string' && said.length <= 32 && NUMBER.test(said);
    case 'type':
      return typeof said === 'string' && TYPES.has(said);
    case 'device':
      return value.device === 'input';
    default:
      return false;
  }
}

function whole(value: Json | undefined, below: number): boolean {
  return Number.isInteger(value) && Math.abs(Number(value)) < below;
}

/** A parameter as text in a field, and back. */

import type { Json, Parameter } from '../wire.ts';
import { isMap, json, read, type WrongArguments } from './arguments.ts';
import { say } from './graph.ts';

export type Wrong =
  | 'whole'
  | 'number'
  | 'least'
  | 'most'
  | 'choice'
  | 'wholes'
  | 'length'
  | WrongArguments;

export interface Misfit {
  readonly wrong: Wrong;
  /** Which part of it, where that is not all. */
  readonly part?: string;
}

export type Parsed = { readonly value: Json | undefined } | Misfit;

/** Numbers of a list. */
export const LONGEST = 8;
/** More choices than these are found by a few letters. */
const SEEN = 20;
/** How a field that grows does so, in letters of a line and lines. */
const LINE = 32;
const TALLEST = 12;

const WHOLE = /^[+-]?\d+$/;

/** What a field says: undefined for an empty one, which is the default. */
export function parse(parameter: Parameter, text: string): Parsed {
  const told = text.trim();
  if (told === '') {
    return { value: undefined };
  }
  switch (parameter.type) {
    case 'integer':
    case 'number': {
      const number = Number(told);
      if (parameter.type === 'integer' && !(WHOLE.test(told) && Number.isSafeInteger(number))) {
        return { wrong: 'whole' };
      }
      if (!Number.isFinite(number)) {
        return { wrong: 'number' };
      }
      return within(parameter, [number]) ?? { value: number };
    }
    case 'boolean':
      return told === 'true' || told === 'false' ? { value: told === 'true' } : { wrong: 'choice' };
    case 'choice':
      return parameter.choices.includes(told) ? { value: told } : { wrong: 'choice' };
    case 'integers': {
      if (parameter.choices.includes(told)) {
        return { value: told };
      }
      const parts = told.replace(/^[[(]|[\])]$/g, '').split(/[\s,×x]+/).filter(Boolean);
      const empty = /^(\[\s*\]|\(\s*\))$/.test(told);
      if ((parts.length === 0 && !empty) || !parts.every(part => WHOLE.test(part))) {
        return { wrong: 'wholes' };
      }
      const numbers = parts.map(Number);
      // One number stands for every dimension.
      const value = numbers.length === 1 && !/^[[(]/.test(told) ? numbers[0]! : numbers;
      const { length: count } = numbers;
      const fits = parameter.length
        ? count === parameter.length
        : count >= parameter.shortest && count <= LONGEST;
      return Array.isArray(value) && !fits
        ? { wrong: 'length' }
        : (within(parameter, numbers) ?? { value });
    }
    case 'arguments':
      return read(told, isMap(parameter.default));
  }
}

/** What stands in the field: what was set, empty if nothing was. */
export function written(parameter: Parameter, value: Json | undefined): string {
  return parameter.type === 'arguments' && value !== undefined ? json(value) : say(value);
}

/** Whether a field says this already, in whatever way it is written. */
export function says(parameter: Parameter, text: string, value: Json | undefined): boolean {
  const parsed = parse(parameter, text);
  return 'value' in parsed && written(parameter, parsed.value) === written(parameter, value);
}

/** Whether there are too many choices to look through. */
export function searched({ type, choices }: Parameter): boolean {
  return type === 'choice' && choices.length > SEEN;
}

/** The choices most like what was written, the likest first. */
export function near({ choices }: Parameter, text: string): string[] {
  const asked = text.trim().toLowerCase();
  const begin = choices.filter(each => each.startsWith(asked));
  const hold = choices.filter(each => each.includes(asked) && !begin.includes(each));
  return [...begin, ...hold].slice(0, 3);
}

/** What such arguments may look like. */
export function example({ default: usual }: Parameter): string {
  if (isMap(usual)) {
    return '{"dim": 1}';
  }
  return Array.isArray(usual) && usual.length > 0 ? json(usual as Json) : '[[1, 2]]';
}

/** How many lines a text takes in a field that grows. */
export function lines(text: string): number {
  const all = text.split('\n').map(line => Math.max(1, Math.ceil(line.length / LINE)));
  return Math.min(TALLEST, all.reduce((sum, each) => sum + each, 0));
}

function within({ minimum, maximum }: Parameter, numbers: readonly number[]): Parsed | null {
  if (minimum !== null && numbers.some(each => each < minimum)) {
    return { wrong: 'least' };
  }
  return maximum !== null && numbers.some(each => each > maximum) ? { wrong: 'most' } : null;
}

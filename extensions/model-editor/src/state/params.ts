/** A parameter as text in a field, and back. */

import type { Json, Parameter } from '../wire.ts';
import { say } from './graph.ts';

export type Wrong = 'whole' | 'number' | 'least' | 'most' | 'choice' | 'wholes' | 'length';

export type Parsed = { readonly value: Json | undefined } | { readonly wrong: Wrong };

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
      if (parts.length === 0 || !parts.every(part => WHOLE.test(part))) {
        return { wrong: 'wholes' };
      }
      const numbers = parts.map(Number);
      const fits = parameter.length ? numbers.length === parameter.length : numbers.length <= 8;
      if (numbers.length > 1 && !fits) {
        return { wrong: 'length' };
      }
      // One number stands for every dimension.
      const value = numbers.length === 1 && !/^[[(]/.test(told) ? numbers[0]! : numbers;
      return within(parameter, numbers) ?? { value };
    }
  }
}

/** What stands in the field: what was set, empty if nothing was. */
export function written(value: Json | undefined): string {
  return say(value);
}

function within({ minimum, maximum }: Parameter, numbers: readonly number[]): Parsed | null {
  if (minimum !== null && numbers.some(each => each < minimum)) {
    return { wrong: 'least' };
  }
  return maximum !== null && numbers.some(each => each > maximum) ? { wrong: 'most' } : null;
}

/** What the page of a search knows: its trials in the order of their worth, and their curve. */

import type { Study, Trial } from '@nexus-workbench/contract';

/** The best first; then those that were stopped, then those that failed, in the order of trying. */
export function ranked(trials: readonly Trial[]): Trial[] {
  const place = { done: 0, stopped: 1, failed: 2 };
  return [...trials].sort(
    (one, other) =>
      place[one.state] - place[other.state] ||
      (one.values[0] ?? 0) - (other.values[0] ?? 0) ||
      one.number - other.number
  );
}

/** The settings that any of the trials has, in the order in which they are searched. */
export function columns(study: Pick<Study, 'trials' | 'searched'>): string[] {
  const had = new Set(study.trials.flatMap(trial => Object.keys(trial.settings)));
  return Object.keys(study.searched).filter(name => had.has(name));
}

/** Each trial's loss, and the least so far, in the order of their numbers. */
export function progress(trials: readonly Trial[]): {
  loss: [number, number][];
  least: [number, number][];
} {
  const loss: [number, number][] = [];
  const least: [number, number][] = [];
  for (const trial of [...trials].sort((one, other) => one.number - other.number)) {
    const value = trial.values[0];
    if (value !== undefined) {
      loss.push([trial.number, value]);
      least.push([trial.number, Math.min(value, least.at(-1)?.[1] ?? Infinity)]);
    }
  }
  return { loss, least };
}

/** A setting as people read it: three digits, whole numbers whole. */
export function setting(value: number | undefined): string {
  if (value === undefined) {
    return '';
  }
  return Number.isInteger(value) ? value.toLocaleString() : String(Number(value.toPrecision(3)));
}

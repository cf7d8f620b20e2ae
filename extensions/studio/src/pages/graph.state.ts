/** What the page of a graph knows without a document or a network. */

import type { Change, Job } from '@nexus-workbench/contract';
import { isActive } from '../state.ts';

/** The id and the edit that `doc_…@57` names; -1 for no edit. */
export function moment(reference: unknown): { id: string; seq: number } {
  const [id = '', seq = ''] = typeof reference === 'string' ? reference.split('@') : [];
  return { id, seq: /^\d+$/.test(seq) ? Number(seq) : -1 };
}

/** What a model may be called, from what its graph is called. */
export function modelName(name: string): string {
  return name
    .replace(/[/:@'"%]/g, '-')
    .slice(0, 100)
    .trim();
}

/** The trainings of a document, newest first. */
export function runsOf(jobs: readonly Job[], document: string): Job[] {
  return jobs.filter(
    job => job.action === 'models.train' && moment(job.request.document).id === document
  );
}

/** The run whose figures stand on the layers: the one that runs, else the newest. */
export function shownRun(runs: readonly Job[], chosen: string): Job | null {
  return runs.find(job => job.id === chosen) ?? runs.find(isActive) ?? runs[0] ?? null;
}

export type NodeFigures = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

/** Layer → figure → its values over the epochs, from series called `gradient:dense_k3f`. */
export function figuresOf(
  series: ReadonlyMap<string, readonly (readonly [number, number])[]>
): NodeFigures {
  const found = new Map<string, Map<string, readonly number[]>>();
  for (const [name, points] of series) {
    const [figure = '', node = ''] = name.split(':');
    if (node) {
      const held = found.get(node) ?? new Map<string, readonly number[]>();
      held.set(
        figure,
        points.map(point => point[1])
      );
      found.set(node, held);
    }
  }
  return found;
}

/** A line through values, as the path of an SVG of that size; empty for fewer than two. */
export function spark(values: readonly number[], width: number, height: number): string {
  const kept = values.filter(Number.isFinite);
  if (kept.length < 2) {
    return '';
  }
  const [low, high] = [Math.min(...kept), Math.max(...kept)];
  const span = high - low || 1;
  return kept
    .map((value, at) => {
      const x = (at / (kept.length - 1)) * width;
      const y = height - 1 - ((value - low) / span) * (height - 2);
      return `${at === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}

/** Changes that people look at: where a layer stands is none of them. */
export function seen(changes: readonly Change[]): Change[] {
  return changes.filter(change => change.what !== 'place');
}

export interface Counts {
  added: number;
  removed: number;
  changed: number;
}

export function counted(changes: readonly Change[]): Counts {
  const found: Counts = { added: 0, removed: 0, changed: 0 };
  for (const { kind } of seen(changes)) {
    found[kind] += 1;
  }
  return found;
}

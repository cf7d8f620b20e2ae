/** What the report page knows: marks and words of a verdict, the groups a gap lies between. */

import type { Attribute, Group, Report } from '@nexus-workbench/contract';

export type Verdict = Report['verdict'];

/** The mark beside the word: told apart by shape, not by colour alone. */
export function mark(verdict: Verdict): string {
  return verdict === 'pass' ? '✓' : verdict === 'fail' ? '✕' : '?';
}

/** The badge's kind. */
export function kind(verdict: Verdict): 'good' | 'bad' | 'warn' {
  return verdict === 'pass' ? 'good' : verdict === 'fail' ? 'bad' : 'warn';
}

/** Groups of fewer rows are shown and not compared, as the service does it. */
export const FEWEST = 10;

/** The groups with the highest and the lowest rate; null if fewer than two are compared. */
export function between(attribute: Attribute): { most: Group; least: Group } | null {
  const sorted = attribute.groups
    .filter(group => group.rows >= FEWEST)
    .sort((a, b) => b.selection_rate - a.selection_rate);
  const most = sorted[0];
  const least = sorted.at(-1);
  return most && least && most !== least ? { most, least } : null;
}

/** `0.123` → `12.3 %`; a dash where there was nothing to measure. */
export function percent(share: number | null | undefined): string {
  return share === null || share === undefined || !Number.isFinite(share)
    ? '–'
    : `${(100 * share).toFixed(1)} %`;
}

/** Attributes with the ones that fail first, then the undecided, then by gap. */
export function ordered(attributes: Attribute[]): Attribute[] {
  const weight: Record<Verdict, number> = { fail: 0, 'too few to tell': 1, pass: 2 };
  return [...attributes].sort(
    (a, b) => weight[a.verdict] - weight[b.verdict] || b.gap - a.gap
  );
}

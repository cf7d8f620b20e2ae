/** Runs of cells as the server tells them. */

/** A cell that runs, or waits to. */
export interface Run {
  readonly id: string;
  readonly kernel: string;
  readonly cell: string;
  readonly code: string;
}

/** The runs in an answer; what is no run is left out. */
export function runsFrom(answer: unknown): readonly Run[] {
  return Array.isArray(answer) ? answer.filter(isRun) : [];
}

function isRun(value: unknown): value is Run {
  const has = (name: keyof Run): boolean =>
    typeof (value as Partial<Record<keyof Run, unknown>>)[name] === 'string';
  return typeof value === 'object' && value !== null && has('id') && has('kernel') && has('cell') && has('code');
}

/**
 * Which cell was run: the one with its id, else the only one that says the same; -1 if none.
 *
 * @param cells their ids and code; the code of a cell without any is null
 */
export function placeOf(
  cells: readonly { readonly id: string; readonly code: string | null }[],
  run: Run
): number {
  const known = cells.findIndex(cell => cell.code !== null && cell.id === run.cell);
  if (known >= 0) {
    return known;
  }
  const alike = cells.flatMap((cell, place) => (cell.code === run.code ? [place] : []));
  return alike.length === 1 ? (alike[0] ?? -1) : -1;
}

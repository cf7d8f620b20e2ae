/** Runs of cells and what kernels use, as the server tells them. */

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

/** What a kernel uses. */
export interface Use {
  readonly id: string;
  readonly memory_bytes: number;
  /** Of one process; null without a limit. */
  readonly limit_bytes: number | null;
  /** 1 is one processor, all the time. */
  readonly cpu: number;
}

/** What the kernel of that id uses, of an answer; null if it is not there. */
export function takenBy(answer: unknown, id: string): Use | null {
  const found: unknown = Array.isArray(answer)
    ? answer.find((one: unknown) => (one as Partial<Use> | null)?.id === id)
    : undefined;
  const use = found as Use | undefined;
  return typeof use?.memory_bytes === 'number' && typeof use.cpu === 'number' ? use : null;
}

/** How near a kernel is to its limit, 0 to 1; 0 without a limit. */
export function fullness(use: Use): number {
  return use.limit_bytes ? Math.min(1, use.memory_bytes / use.limit_bytes) : 0;
}

/** Bytes as whole MiB with the language's separators. */
export function mebibytes(bytes: number): string {
  return Math.round(bytes / 2 ** 20).toLocaleString();
}

/** Files a person dropped or chose, kept until the page that registers them takes them. */

const kept = new Map<string, File>();

/** Keep a file; the id goes into the page's options as `file`. */
export function keepFile(file: File): string {
  const id = crypto.randomUUID();
  kept.set(id, file);
  return id;
}

/** The file kept under that id, if this window still has it. */
export function keptFile(id: string): File | undefined {
  return kept.get(id);
}

export function dropFile(id: string): void {
  kept.delete(id);
}

/** Values as Python writes them, for the lines that do the same as a page. */

export function python(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (Array.isArray(value)) {
    return `[${value.map(python).join(', ')}]`;
  }
  if (typeof value === 'object') {
    const parts = Object.entries(value).map(([name, each]) => `${python(name)}: ${python(each)}`);
    return `{${parts.join(', ')}}`;
  }
  return JSON.stringify(value);
}

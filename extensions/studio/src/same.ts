/** The Python that does what a request did. */

/** A JSON value as Python writes it. */
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
    const items = Object.entries(value).map(([name, one]) => `${python(name)}: ${python(one)}`);
    return `{${items.join(', ')}}`;
  }
  return JSON.stringify(value);
}

/** A call of an action; what is not given or empty is left out. */
export function sameAs(action: string, request: Readonly<Record<string, unknown>>): string {
  const empty = (value: unknown): boolean =>
    value === null ||
    value === undefined ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0);
  const given = Object.entries(request)
    .filter(([, value]) => !empty(value))
    .map(([name, value]) => `${name}=${python(value)}`);
  const line = `wb.${action}(${given.join(', ')})`;
  const call =
    line.length <= 88 ? line : `wb.${action}(\n${given.map(one => `    ${one},\n`).join('')})`;
  return `import workbench\n\nwb = workbench.connect()\n${call}`;
}

/** The words of the editor: of whoever shows it, or English. */

/** What the editor needs of JupyterLab's TranslationBundle. */
export interface Words {
  __: (msgid: string, ...args: unknown[]) => string;
  _n: (singular: string, plural: string, n: number, ...args: unknown[]) => string;
}

function filled(text: string, args: readonly unknown[]): string {
  return text.replace(/%(\d+)/g, (whole, at: string) => {
    const found = args[Number(at) - 1];
    return typeof found === 'string' || typeof found === 'number' ? String(found) : whole;
  });
}

export const english: Words = {
  __: (msgid, ...args) => filled(msgid, args),
  _n: (singular, plural, n, ...args) => filled(n === 1 ? singular : plural, [n, ...args])
};

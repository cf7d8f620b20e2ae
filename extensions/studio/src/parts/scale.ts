/** The arithmetic of the charts, without a document. */

/** Round values that cover low..high, `count` or so of them (Heckbert, Graphics Gems, 1990). */
export function ticks(low: number, high: number, count = 5): number[] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) {
    return [];
  }
  if (low === high) {
    return [low];
  }
  const rough = (high - low) / Math.max(1, count - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const part = rough / power;
  const step = (part < 1.5 ? 1 : part < 3 ? 2 : part < 7 ? 5 : 10) * power;
  const found: number[] = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

/** A number as a person reads it: four significant digits, thousands apart. */
export function short(value: number, locale?: string): string {
  if (!Number.isFinite(value)) {
    return '–';
  }
  const size = Math.abs(value);
  return value.toLocaleString(
    locale,
    size !== 0 && (size < 1e-4 || size >= 1e9)
      ? { notation: 'scientific', maximumSignificantDigits: 3 }
      : Number.isInteger(value)
        ? {}
        : { maximumSignificantDigits: 4 }
  );
}

/** Maps low..high to from..to; the middle if there is no width. */
export function scale(low: number, high: number, from: number, to: number): (x: number) => number {
  return x => (high === low ? (from + to) / 2 : from + ((x - low) / (high - low)) * (to - from));
}

/** The smallest and largest finite values; 0..1 if there are none. */
export function extent(values: Iterable<number>): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

/** `12.3 MB`, in powers of ten. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let value = count;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at += 1;
  }
  return `${at === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[at]}`;
}

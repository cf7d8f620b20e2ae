/** What the model page knows: figures, forms of inputs, which exports fit, which aliases exist. */

import type { Field, Figure, Model, ModelsExportRequest, Report } from '@nexus-workbench/contract';

/** Aliases a person chooses from; the first is the one the gate guards most. */
export const ALIASES = [
  'production',
  'champion',
  'released',
  'challenger',
  'candidate',
  'archived'
] as const;

/** Those that let a model loose on people: given on the Studio's own pages only. */
const RELEASES = new Set<string>(['production', 'champion', 'released']);

export function isRelease(alias: string): boolean {
  return RELEASES.has(alias);
}

/** Metrics of which less is better. */
const LESS = new Set(['log_loss', 'brier', 'rmse', 'mae']);

/** Metrics that are a share, 0..1, and read best in percent. */
const SHARES = new Set(['accuracy', 'balanced_accuracy']);

/** Whether a lower value is better. */
export function lessIsBetter(metric: string): boolean {
  return LESS.has(metric);
}

/** `balanced_accuracy` → `Balanced accuracy`; short names are abbreviations. */
export function metricName(metric: string): string {
  const known: Record<string, string> = {
    auc: 'AUC',
    f1: 'F1',
    rmse: 'RMSE',
    mae: 'MAE',
    r2: 'R²',
    brier: 'Brier score',
    log_loss: 'Log loss'
  };
  const plain = metric.replaceAll('_', ' ');
  return known[metric] ?? plain.charAt(0).toUpperCase() + plain.slice(1);
}

/** A number as its metric is written: `87.4 %`, `0.412`. */
export function showNumber(metric: string, value: number): string {
  if (SHARES.has(metric)) {
    return `${(100 * value).toFixed(1)} %`;
  }
  const size = Math.abs(value);
  return size === 0 || (size >= 0.001 && size < 1)
    ? value.toFixed(3)
    : size >= 1e6 || size < 0.001
      ? value.toExponential(2)
      : value.toPrecision(4);
}

/** A figure with its interval: `87.4 % (84.1 % to 90.2 %)`. */
export function showFigure(metric: string, figure: Figure | null | undefined): string {
  return figure
    ? `${showNumber(metric, figure.value)} (${showNumber(metric, figure.low)} – ${showNumber(metric, figure.high)})`
    : '–';
}

/** A model and the others that were measured on the same rows. */
export interface Competitor {
  name: string;
  own: boolean;
  metrics: Record<string, Figure>;
}

/** This model first, then those beside it; one of its own kind is not shown twice. */
export function competitors(model: Model): Competitor[] {
  const others = Object.entries(model.beside)
    .filter(([name]) => name !== model.estimator)
    .map(([name, metrics]) => ({ name, own: false, metrics }));
  return [{ name: model.estimator, own: true, metrics: model.metrics }, ...others];
}

/** The metrics any of them has, the model's own first and in its order. */
export function metricsOf(rows: Competitor[]): string[] {
  return [...new Set(rows.flatMap(row => Object.keys(row.metrics)))];
}

/** The two figures to draw: the ones that tell most. */
export function headline(metrics: string[]): string[] {
  const first = ['auc', 'accuracy', 'rmse', 'r2'].filter(metric => metrics.includes(metric));
  return [...new Set([...first, ...metrics])].slice(0, 2);
}

/** Which of the values is best; null if none is there. */
export function best(metric: string, figures: (Figure | null | undefined)[]): number | null {
  let at: number | null = null;
  figures.forEach((figure, index) => {
    const other = at === null ? null : figures[at];
    if (
      figure &&
      (!other || (lessIsBetter(metric) ? figure.value < other.value : figure.value > other.value))
    ) {
      at = index;
    }
  });
  return at;
}

/** Formats a model of that kind can be written in, the most useful first. */
export function exportsOf(estimator: string): NonNullable<ModelsExportRequest['format']>[] {
  switch (estimator) {
    case 'network':
      return ['onnx', 'safetensors'];
    case 'lightgbm':
      return ['lightgbm'];
    case 'majority':
    case 'mean':
      return [];
    case 'imported':
      return ['onnx'];
    default:
      return ['onnx', 'skops'];
  }
}

/** Whether an input is asked as a number. */
export function isNumber(field: Field): boolean {
  return field.categories.length === 0 && ['number', 'integer'].includes(field.kind);
}

/** What the form of one row starts with: the examples, the most frequent categories. */
export function firstRow(inputs: Field[]): Record<string, string> {
  return Object.fromEntries(
    inputs.map(field => [field.name, text(field.example ?? field.categories[0] ?? '')])
  );
}

/** The row as the service takes it: an empty field is a missing value. */
export function rowOf(
  inputs: Field[],
  form: Record<string, string>
): { row: Record<string, unknown> } | { wrong: string } {
  const row: Record<string, unknown> = {};
  for (const field of inputs) {
    const given = (form[field.name] ?? '').trim();
    if (given === '') {
      row[field.name] = null;
    } else if (isNumber(field)) {
      const value = Number(given);
      if (!Number.isFinite(value)) {
        return { wrong: field.name };
      }
      row[field.name] = value;
    } else if (field.kind === 'boolean' && /^(true|false)$/i.test(given)) {
      row[field.name] = given.toLowerCase() === 'true';
    } else {
      row[field.name] = given;
    }
  }
  return { row };
}

/** Columns a fairness report may divide by: all of the product's that have few values. */
export function dividing(columns: { name: string; kind: string; sensitive: boolean }[]): string[] {
  const fit = columns.filter(column => column.sensitive || ['category', 'boolean', 'integer'].includes(column.kind));
  return [...fit.filter(each => each.sensitive), ...fit.filter(each => !each.sensitive)].map(
    column => column.name
  );
}

/** The reports on this version of a model, newest first, and those on its other versions. */
export function reportsOf(model: Model, reports: Report[]): { own: Report[]; others: Report[] } {
  const of = reports.filter(report => bare(report.model) === model.id);
  const ref = `${model.id}@${model.version}`;
  return {
    own: of.filter(report => report.model === ref),
    others: of.filter(report => report.model !== ref)
  };
}

/** `prd_…@3` → `prd_…` */
export function bare(ref: string): string {
  return ref.split('@')[0] ?? ref;
}

/** `prd_…@3` → 3; null where no version is named. */
export function versionOf(ref: string): number | null {
  const version = ref.split('@')[1];
  return version === undefined || version === '' ? null : Number(version);
}

/** `sha256:abcdef…` → `sha256:abcdef012345`, enough to compare by eye. */
export function short(digest: string): string {
  const [kind, hex] = digest.split(':');
  return hex === undefined ? digest.slice(0, 12) : `${kind}:${hex.slice(0, 12)}`;
}

function text(value: unknown): string {
  return value === null || value === undefined
    ? ''
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
}

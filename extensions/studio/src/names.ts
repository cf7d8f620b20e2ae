/** The names of the pages. */

export const PAGES = [
  'welcome',
  'new-product',
  'product',
  'train',
  'new-graph',
  'import-graph',
  'graph',
  'job',
  'model',
  'compare',
  'report',
  'study',
  'schedule',
  'record'
] as const;
export type PageName = (typeof PAGES)[number];

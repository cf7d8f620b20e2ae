/** The names of the pages. */

export const PAGES = [
  'welcome',
  'new-product',
  'product',
  'train',
  'job',
  'model',
  'compare',
  'report',
  'record'
] as const;
export type PageName = (typeof PAGES)[number];

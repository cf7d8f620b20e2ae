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
  'study',
  'record'
] as const;
export type PageName = (typeof PAGES)[number];

/** Where the pages are: each is fetched when it is first opened. */

import type { JSX } from 'react';
import type { PageName, PageProps } from './context.ts';

export type PageView = (props: PageProps) => JSX.Element;

export const pages: Record<PageName, () => Promise<PageView>> = {
  welcome: async () => (await import('./pages/welcome.tsx')).default,
  'new-product': async () => (await import('./pages/new-product.tsx')).default,
  product: async () => (await import('./pages/product.tsx')).default,
  train: async () => (await import('./pages/train.tsx')).default,
  'new-graph': async () => (await import('./pages/new-graph.tsx')).default,
  'import-graph': async () => (await import('./pages/import-graph.tsx')).default,
  graph: async () => (await import('./pages/graph.tsx')).default,
  job: async () => (await import('./pages/job.tsx')).default,
  model: async () => (await import('./pages/model.tsx')).default,
  compare: async () => (await import('./pages/compare.tsx')).default,
  report: async () => (await import('./pages/report.tsx')).default,
  schedule: async () => (await import('./pages/schedule.tsx')).default,
  study: async () => (await import('./pages/study.tsx')).default,
  record: async () => (await import('./pages/record.tsx')).default
};

/** What the streams send, record by record: OpenAPI describes the stream, not what is in it. */

import type { Event } from './api.ts';

/** Something a job told (`Line` in workbench/pipelines/types.py). */
export interface Line {
  seq: number;
  /** ISO 8601. */
  at: string;
  kind: 'log' | 'progress' | 'metric' | 'state';
  text: string;
  values: Record<string, number>;
}

export interface Streams {
  '/api/v1/pipelines:log': Line;
  '/api/v1/audit:follow': Event;
}

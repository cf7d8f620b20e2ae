/** What the panel, the status bar and the small pages know, without a document or a network. */

import type { Event, Job, Line, Project } from '@nexus-workbench/contract';
import { PAGES, type PageName } from './names.ts';

export const SECTIONS = [
  'data',
  'graphs',
  'models',
  'studies',
  'jobs',
  'schedules',
  'reports',
  'record'
] as const;
export type Section = (typeof SECTIONS)[number];

/** The sections of the panel that an event makes old. */
export function touched(event: Pick<Event, 'action' | 'refs'>): Section[] {
  const room = event.action.split('.')[0];
  const found = new Set<Section>(['record']);
  if (room === 'data' || 'product' in event.refs) {
    found.add('data');
  }
  if (room === 'documents' || 'document' in event.refs) {
    found.add('graphs');
  }
  if (room === 'models' || 'model' in event.refs) {
    found.add('models');
  }
  if ('study' in event.refs) {
    found.add('studies');
  }
  if (room === 'pipelines' || 'job' in event.refs) {
    found.add('jobs');
  }
  if ('schedule' in event.refs) {
    found.add('schedules');
  }
  if (room === 'ethics' || 'report' in event.refs) {
    found.add('reports');
  }
  return SECTIONS.filter(section => found.has(section));
}

/** `ada` for `person:ada`; others as they are. */
export function person(actor: string): string {
  return actor.replace(/^person:/, '');
}

export function isActive(job: Pick<Job, 'state'>): boolean {
  return job.state === 'queued' || job.state === 'running';
}

/** 0..100, whole. */
export function percent(share: number): number {
  return Math.round(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * 100);
}

const OPENS: [prefix: string, page: PageName][] = [
  ['prd_', 'product'],
  ['doc_', 'graph'],
  ['mdl_', 'model'],
  ['rpt_', 'report'],
  ['std_', 'study'],
  ['sch_', 'schedule'],
  ['job_', 'job']
];

/** The page that shows what a reference names; null for a reference without one. */
export function pageOf(reference: unknown): PageName | null {
  const text = typeof reference === 'string' ? reference : '';
  return OPENS.find(([prefix]) => text.startsWith(prefix))?.[1] ?? null;
}

export interface Reference {
  kind: string;
  id: string;
  page: PageName | null;
}

/** The references of an event or of a job's result, those with a page first. */
export function references(refs: Readonly<Record<string, unknown>> | null): Reference[] {
  return Object.entries(refs ?? {})
    .filter(([, id]) => typeof id === 'string')
    .map(([kind, id]) => ({ kind, id: id as string, page: pageOf(id) }))
    .sort((a, b) => Number(a.page === null) - Number(b.page === null));
}

/** The project to show: the one chosen before if one is still in it, else the service's choice. */
export function choose(projects: readonly Project[], wanted: string, first: Project): Project {
  return projects.find(one => one.id === wanted || one.name === wanted) ?? first;
}

/** A name for a project from what people call it: `Fair lending!` → `fair-lending`. */
export function nameFrom(title: string): string {
  return title
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40)
    .replace(/-+$/, '');
}

export interface Told {
  seq: number;
  series: ReadonlyMap<string, readonly (readonly [number, number])[]>;
  /** What the horizontal axis counts. */
  axis: string;
  log: readonly { seq: number; at: string; text: string }[];
  progress: number | null;
  note: string;
  state: string;
  /** Whether an attempt began, and has told no figures yet. */
  again: boolean;
}

export const NOTHING_TOLD: Told = {
  seq: 0,
  series: new Map(),
  axis: 'step',
  log: [],
  progress: null,
  note: '',
  state: '',
  again: false
};

const AXES = ['epoch', 'iteration', 'step', 'round', 'tried'];
const LOG_LINES = 2000;

/** What a job has told, with more lines of it. A line that was told before changes nothing. */
export function hear(told: Told, lines: readonly Line[]): Told {
  const fresh = lines.filter(line => line.seq > told.seq);
  if (fresh.length === 0) {
    return told;
  }
  const series = new Map(told.series);
  let { axis, progress, note, state, again } = told;
  const log = [...told.log];
  for (const line of fresh) {
    if (line.kind === 'metric') {
      const found = AXES.find(name => name in line.values);
      axis = found ?? axis;
      if (again && !found) {
        // What has no axis is told from the start.
        series.clear();
      }
      again = false;
      for (const [name, value] of Object.entries(line.values)) {
        const before = series.get(name) ?? [];
        const x = (found ? line.values[found] : before.length) ?? 0;
        if (name !== found && Number.isFinite(value)) {
          // A new attempt goes on after its last checkpoint: it tells anew what came later.
          const kept = x > (before.at(-1)?.[0] ?? -1) ? before : before.filter(each => each[0] < x);
          series.set(name, [...kept, [x, value]]);
        }
      }
    } else if (line.kind === 'progress') {
      progress = line.values.share ?? progress;
      note = line.text || note;
    } else if (line.kind === 'state') {
      state = line.text;
      again = again || state === 'running';
    }
    if (line.kind !== 'metric' && line.text) {
      log.push({ seq: line.seq, at: line.at, text: line.text });
    }
  }
  const seq = fresh.reduce((most, line) => Math.max(most, line.seq), told.seq);
  return { seq, series, axis, log: log.slice(-LOG_LINES), progress, note, state, again };
}

/** Series that belong in one chart: the losses together, then each other unit by itself. Those of
 * single nodes (`gradient:dense1`) are drawn where the nodes are. */
export function charts(series: Told['series']): string[][] {
  const names = [...series.keys()].filter(name => !name.includes(':'));
  const losses = names.filter(name => /loss/i.test(name));
  const others = names.filter(name => !losses.includes(name));
  const grouped = new Map<string, string[]>();
  for (const name of others) {
    const stem = name.replace(/^(train(ing)?|valid(ation)?|test|val)_/i, '');
    grouped.set(stem, [...(grouped.get(stem) ?? []), name]);
  }
  return [losses, ...grouped.values()].filter(group => group.length > 0);
}

export type Age = { unit: 'now' | 'minutes' | 'hours' | 'days'; count: number };

/** How long ago, as a person says it. Both in milliseconds since the epoch. */
export function age(at: number, now: number): Age {
  const minutes = Math.floor(Math.max(0, now - at) / 60_000);
  if (minutes < 1) {
    return { unit: 'now', count: 0 };
  }
  if (minutes < 60) {
    return { unit: 'minutes', count: minutes };
  }
  return minutes < 1440
    ? { unit: 'hours', count: Math.floor(minutes / 60) }
    : { unit: 'days', count: Math.floor(minutes / 1440) };
}

/** `1:05` from two times; empty if it has not begun. In ISO 8601. */
export function duration(from: string | null, to: string | null, now: number): string {
  if (!from) {
    return '';
  }
  const seconds = Math.max(0, ((to ? Date.parse(to) : now) - Date.parse(from)) / 1000);
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = String(whole % 60).padStart(2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

export interface PageArgs {
  page: PageName;
  id: string;
  options: Record<string, string>;
}

/** The arguments of `studio:open`, checked: they may come from a layout that is years old. */
export function pageArgs(args: Readonly<Record<string, unknown>>): PageArgs | null {
  const page = PAGES.find(name => name === args.page);
  if (!page) {
    return null;
  }
  const options: Record<string, string> = {};
  if (typeof args.options === 'object' && args.options !== null) {
    for (const [name, value] of Object.entries(args.options)) {
      if (typeof value === 'string') {
        options[name] = value;
      }
    }
  }
  return { page, id: typeof args.id === 'string' ? args.id : '', options };
}

/** One page is one tab: what tells its tab from others. */
export function tabOf({ page, id, options }: PageArgs): string {
  const rest = Object.entries(options)
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  return [page, id, ...rest].filter(Boolean).join(':');
}

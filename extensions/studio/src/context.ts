/** What every page and panel of the Studio is given. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import type { Client, Event, Project } from '@nexus-workbench/contract';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { PageName } from './names.ts';

export type { Project };

/** An audit event. */
export type StudioEvent = Event;

export { PAGES, type PageName } from './names.ts';

export interface StudioContext {
  /** Already in the project that is shown. */
  client: Client;
  trans: TranslationBundle;
  /** The project shown; null until the session is known. */
  project: () => Project | null;
  /** viewer, editor or owner; empty until the session is known. */
  role: () => string;
  /** The address of the Studio's own pages, which ends with a slash; empty before there is a session. */
  readonly pages: string;
  /** Open a page, or bring it to the front. */
  open: (page: PageName, id?: string, options?: Record<string, string>) => void;
  /** Run a command of JupyterLab. */
  run: (command: string, args?: ReadonlyPartialJSONObject) => Promise<unknown>;
  /** The audit events of this project, as they happen. */
  changed: ISignal<unknown, StudioEvent>;
  /** A short note in the corner. */
  notify: (message: string) => void;
}

/** What a page component is given. */
export interface PageProps {
  studio: StudioContext;
  id: string;
  options: Record<string, string>;
  /** The tab's title. */
  setTitle: (title: string) => void;
}

/** The Studio as this window sees it: who is signed in, which project, what happens in it. */

import type { CommandRegistry } from '@lumino/commands';
import { Token, type ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';
import { Notification } from '@jupyterlab/apputils';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Client, type Job, type Session } from '@nexus-workbench/contract';
import type { PageName, Project, StudioContext, StudioEvent } from './context.ts';
import { choose, isActive, touched, type Section } from './state.ts';

export const ID = '@nexus-workbench/studio';
const KEY = 'nexus-workbench:studio';
const LIVE_MS = 1500;

export interface StudioOptions {
  /** Where the service is, with a slash at the end. */
  base: string;
  commands: CommandRegistry;
  trans: TranslationBundle;
  /** Remembers the project between visits. */
  state: IStateDB;
}

export class Studio implements StudioContext, IDisposable {
  client: Client;
  readonly trans: TranslationBundle;
  /** Why there is no session, if there is none. */
  error: Error | null = null;
  /** Queued and running jobs of the project, newest first. */
  active: readonly Job[] = [];
  /** The section of the panel that is open. */
  section: Section = 'data';
  /** False while the stream of events is broken. */
  connected = true;

  private readonly options: StudioOptions;
  private readonly root: Client;
  private session: Session | null = null;
  private shown: Project | null = null;
  private follows: AbortController | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking = false;
  private disposed = false;
  private readonly _changed = new Signal<unknown, StudioEvent>(this);
  private readonly _told = new Signal<this, void>(this);
  private readonly _switched = new Signal<this, Project>(this);

  constructor(options: StudioOptions) {
    this.options = options;
    this.trans = options.trans;
    this.root = new Client({ base: options.base });
    this.client = this.root;
  }

  get changed(): ISignal<unknown, StudioEvent> {
    return this._changed;
  }

  /** The session, the project, the active jobs or the connection is another. */
  get told(): ISignal<this, void> {
    return this._told;
  }

  /** Another project is shown. */
  get switched(): ISignal<this, Project> {
    return this._switched;
  }

  get actor(): string {
    return this.session?.actor.name ?? '';
  }

  get projects(): readonly Project[] {
    return this.session?.projects ?? [];
  }

  /** The project this JupyterLab is of, whichever is shown; null before there is a session. */
  get home(): Project | null {
    return this.session?.project ?? null;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  /** The address of the Studio's own pages; empty before there is a session. */
  get pages(): string {
    return this.session?.pages ?? '';
  }

  project(): Project | null {
    return this.shown;
  }

  role(): string {
    return this.shown?.role ?? '';
  }

  /** May this person change things in the project? */
  get mayWrite(): boolean {
    return this.role() === 'editor' || this.role() === 'owner';
  }

  open(page: PageName, id = '', options: Record<string, string> = {}): void {
    void this.run('studio:open', { page, id, options });
  }

  /**
   * The same for one project, whichever is shown: a tab stays in the project it was opened in.
   * Events come while that project is the one shown.
   */
  at(id: string): StudioContext {
    const found = this.projects.find(one => one.id === id) ?? this.shown;
    if (!found) {
      return this;
    }
    const quiet = new Signal<unknown, StudioEvent>(found);
    this._changed.connect((_, event) => {
      if (event.project === found.id) {
        quiet.emit(event);
      }
    });
    return {
      client: this.root.in(found.id),
      trans: this.trans,
      project: () => this.projects.find(one => one.id === found.id) ?? found,
      role: () => found.role,
      pages: this.pages,
      open: (page, id = '', options = {}) =>
        void this.run('studio:open', { page, id, options, project: found.id }),
      run: (command, args) => this.run(command, args),
      changed: quiet,
      notify: message => this.notify(message)
    };
  }

  run(command: string, args: ReadonlyPartialJSONObject = {}): Promise<unknown> {
    return this.options.commands.execute(command, args);
  }

  notify(message: string): void {
    Notification.info(message, { autoClose: 5000 });
  }

  /** Sign in and show the project of the last visit. Asked again after an error. */
  async start(): Promise<void> {
    this.error = null;
    this._told.emit();
    try {
      this.root.forget();
      const session = await this.root.session();
      const last = await this.options.state.fetch(KEY);
      const wanted = typeof last === 'string' ? last : '';
      if (this.disposed) {
        return;
      }
      this.session = session;
      this.show(choose(session.projects, wanted, session.project));
    } catch (error) {
      this.error = error instanceof Error ? error : new Error(String(error));
      this._told.emit();
    }
  }

  showSection(section: Section): void {
    if (section !== this.section) {
      this.section = section;
      this._told.emit();
    }
  }

  /** Show another project, one of `projects` or one just made. */
  async choose(project: Project): Promise<void> {
    if (this.session && !this.session.projects.some(one => one.id === project.id)) {
      this.session = { ...this.session, projects: [project, ...this.session.projects] };
    }
    if (project.id !== this.shown?.id) {
      this.show(project);
    }
    await this.options.state.save(KEY, project.id);
  }

  dispose(): void {
    this.disposed = true;
    this.follows?.abort();
    clearTimeout(this.timer);
    Signal.clearData(this);
  }

  private show(project: Project): void {
    this.shown = project;
    this.client = this.root.in(project.id);
    this.active = [];
    this.follows?.abort();
    this.follows = new AbortController();
    void this.follow(this.client, this.follows.signal);
    void this.askJobs();
    this._told.emit();
    this._switched.emit(project);
  }

  private async follow(client: Client, signal: AbortSignal): Promise<void> {
    try {
      const events = client.follow('/api/v1/audit:follow', {
        query: { after: -1 },
        signal,
        onBroken: () => {
          this.setConnected(false);
          void this.askJobs();
        }
      });
      for await (const event of events) {
        this.setConnected(true);
        this._changed.emit(event);
        if (touched(event).includes('jobs')) {
          void this.askJobs();
        }
      }
    } catch (error) {
      if (!signal.aborted) {
        this.error = error instanceof Error ? error : new Error(String(error));
        this._told.emit();
      }
    }
  }

  private setConnected(connected: boolean): void {
    if (connected !== this.connected) {
      this.connected = connected;
      this._told.emit();
    }
  }

  /** Ask for the active jobs; again every 1.5 s while there are any and the window is seen. */
  private async askJobs(): Promise<void> {
    clearTimeout(this.timer);
    if (this.asking || this.disposed) {
      return;
    }
    this.asking = true;
    const client = this.client;
    try {
      const page = await client.get('/api/v1/pipelines/jobs', { query: { limit: 50 } });
      if (client === this.client) {
        this.active = page.items.filter(isActive);
        this.setConnected(true);
        this._told.emit();
      }
    } catch {
      this.setConnected(false);
    } finally {
      this.asking = false;
    }
    if (client !== this.client) {
      void this.askJobs();
    } else if (this.active.length > 0 || !this.connected) {
      this.askLater();
    }
  }

  private askLater(): void {
    if (!this.disposed) {
      this.timer = setTimeout(() => void this.askJobs(), document.hidden ? 10_000 : LIVE_MS);
    }
  }
}

export const IStudio = new Token<Studio>(
  `${ID}:IStudio`,
  'The Studio as this window sees it.'
);

/** The comments on the notebook in front, as this window knows them, and the mentions of oneself. */

import { Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';
import { StudioError, type Mention, type Thread } from '@nexus-workbench/contract';
import type { StudioContext, StudioEvent } from '../context.ts';
import { person } from '../state.ts';
import type { Studio } from '../studio.ts';
import { time } from '../tokens.ts';
import { arrived, baseName, firstLine, type CellRef } from './state.ts';

const PAGE = 200;

export interface CommentsOptions {
  studio: Studio;
  tracker: INotebookTracker;
  contents: Contents.IManager;
  /** Bring a notebook's tab to the front. */
  reveal: (panel: NotebookPanel) => void;
}

interface Wanted {
  document: string;
  part: string;
  thread: string;
}

export class Comments implements IDisposable {
  /** The path of the notebook in front; empty if there is none. */
  document = '';
  cells: readonly CellRef[] = [];
  /** The id of the cell that is active; empty if none is. */
  cell = '';
  threads: readonly Thread[] = [];
  /** Whether the threads are those of the document. */
  loaded = false;
  error: Error | null = null;
  /** Those that were not seen yet, the newest first. */
  mentions: readonly Mention[] = [];
  /** Who can be mentioned. */
  members: readonly string[] = [];
  /** The cell a new thread is being written about; null: none is. */
  composing: string | null = null;
  /** The thread to bring into view, and how often that was asked. */
  shown = { thread: '', times: 0 };
  /** Whether resolved threads are listed too. */
  resolved = false;
  /** What was typed and not sent, by what it is about. */
  readonly drafts = new Map<string, string>();
  readonly studio: Studio;

  private readonly options: CommentsOptions;
  private context: StudioContext | null = null;
  private panel: NotebookPanel | null = null;
  private wanted: Wanted | null = null;
  private known: Set<string> | null = null;
  private connected = true;
  private asked = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private disposed = false;
  private readonly _changed = new Signal<this, void>(this);

  constructor(options: CommentsOptions) {
    this.options = options;
    const { studio, tracker, contents } = options;
    this.studio = studio;
    studio.switched.connect(this.join);
    studio.told.connect(this.reconnected);
    tracker.currentChanged.connect(this.follow);
    contents.fileChanged.connect(this.fileChanged);
    this.join();
    this.follow();
  }

  /** Anything of this is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  get actor(): string {
    return this.studio.actor;
  }

  get role(): string {
    return this.context?.role() ?? '';
  }

  /** Whether there is a project that takes comments. */
  get mayComment(): boolean {
    const project = this.context?.project();
    return !!project && !project.archived_at;
  }

  /** The notebook in front. */
  get notebook(): NotebookPanel | null {
    return this.panel;
  }

  /** Begin to write about a cell; empty: about the notebook. Null: not any more. */
  compose(part: string | null): void {
    this.composing = part;
    this._changed.emit();
  }

  showResolved(resolved: boolean): void {
    this.resolved = resolved;
    this._changed.emit();
  }

  /** Bring a thread into view, in the panel and in the notebook. */
  show(thread: Thread): void {
    this.resolved ||= !!thread.resolved_at;
    this.shown = { thread: thread.id, times: this.shown.times + 1 };
    this._changed.emit();
  }

  /** Select a cell and scroll to it. */
  async select(part: string): Promise<void> {
    const at = this.cells.findIndex(cell => cell.id === part);
    if (!this.panel || at < 0) {
      return;
    }
    const { content } = this.panel;
    this.options.reveal(this.panel);
    content.deselectAll();
    content.activeCellIndex = at;
    await content.scrollToItem(at, 'smart');
  }

  /** Where somebody names you: opened, selected, and seen. */
  async open(mention: Mention): Promise<void> {
    const { document, part } = mention.anchor;
    this.wanted = { document, part, thread: mention.comment.thread };
    void this.see([mention.comment.id]);
    if (document !== this.document) {
      await this.studio.run('docmanager:open', { path: document });
    }
    this.arrive();
  }

  async see(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) {
      return;
    }
    this.mentions = this.mentions.filter(one => !ids.includes(one.comment.id));
    this._changed.emit();
    await this.client.post('/api/v1/comments:see_mentions', { comments: [...ids] });
  }

  async add(part: string, text: string): Promise<void> {
    if (part) {
      keepIds(this.panel);
    }
    const written = await this.client.post('/api/v1/comments/comments', {
      text,
      anchor: { kind: 'notebook', document: this.document, part },
      reply_to: '',
      quote: this.cells.find(cell => cell.id === part)?.label ?? ''
    });
    this.composing = null;
    await this.load();
    this.shown = { thread: written.thread, times: this.shown.times + 1 };
    this._changed.emit();
  }

  async reply(thread: Thread, text: string): Promise<void> {
    await this.client.post('/api/v1/comments/comments', {
      text,
      reply_to: thread.id,
      quote: ''
    });
    const answered = this.mentions.filter(one => one.comment.thread === thread.id);
    await Promise.all([this.load(), this.see(answered.map(one => one.comment.id))]);
  }

  async change(id: string, text: string): Promise<void> {
    await this.client.patch('/api/v1/comments/comments/{id}', { id }, { text });
    await this.load();
  }

  async remove(id: string): Promise<void> {
    await this.client.delete('/api/v1/comments/comments/{id}', { id });
    await this.load();
  }

  async resolve(thread: Thread): Promise<void> {
    const path = thread.resolved_at ? '/api/v1/comments:reopen' : '/api/v1/comments:resolve';
    await this.client.post(path, { id: thread.id });
    await this.load();
  }

  /** The comments of a notebook that was moved by other means come to the one in front. */
  async bring(from: string): Promise<number> {
    const moved = await this.client.post('/api/v1/comments:move', {
      document: from,
      to: this.document,
      kind: 'notebook'
    });
    await this.load();
    return moved.threads;
  }

  /** Ask for the threads of the notebook in front. */
  async load(): Promise<void> {
    const { context, document } = this;
    const turn = ++this.asked;
    if (!context || !document) {
      return;
    }
    try {
      const threads: Thread[] = [];
      let after: string | null = null;
      do {
        const page: { items: Thread[]; next: string | null } = await context.client.get(
          '/api/v1/comments/comments',
          { query: { document, limit: PAGE, after } }
        );
        threads.push(...page.items);
        after = page.next;
      } while (after);
      if (turn === this.asked) {
        this.threads = threads;
        this.loaded = true;
        this.error = null;
        this.arrive();
      }
    } catch (error) {
      if (turn === this.asked) {
        this.error = error instanceof Error ? error : new Error(String(error));
      }
    }
    this._changed.emit();
  }

  dispose(): void {
    this.disposed = true;
    clearTimeout(this.timer);
    this.leave();
    Signal.clearData(this);
  }

  private get client(): StudioContext['client'] {
    return (this.context ?? this.studio).client;
  }

  /** The notebooks of this JupyterLab are of one project, whichever the panel shows. */
  private readonly join = (): void => {
    const home = this.studio.home;
    if (!home || home.id === this.context?.project()?.id) {
      return;
    }
    this.context?.changed.disconnect(this.heard);
    this.context = this.studio.at(home.id);
    this.context.changed.connect(this.heard);
    void this.load();
    void this.loadMentions();
    void this.loadMembers();
  };

  private readonly heard = (_: unknown, event: StudioEvent): void => {
    if (event.action.startsWith('comments.')) {
      this.soon();
    } else if (event.action.startsWith('projects.')) {
      void this.loadMembers();
    }
  };

  /** What happened while the stream was broken was not told. */
  private readonly reconnected = (): void => {
    if (this.studio.connected && !this.connected) {
      this.soon();
    }
    this.connected = this.studio.connected;
  };

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      void this.load();
      void this.loadMentions();
    }, time.settle);
  }

  private async loadMentions(): Promise<void> {
    try {
      const page = await this.client.get('/api/v1/comments/mentions', { query: { limit: 50 } });
      this.mentions = page.items;
      this.announce(arrived(page.items, this.known ?? new Set()));
      this.known = new Set([...(this.known ?? []), ...page.items.map(one => one.comment.id)]);
      this._changed.emit();
    } catch {
      // The panel says that the Studio does not answer; asked again with the next event.
    }
  }

  private async loadMembers(): Promise<void> {
    try {
      const page = await this.client.get('/api/v1/projects/members', { query: { limit: 500 } });
      this.members = page.items.map(one => one.person);
      this._changed.emit();
    } catch {
      // Names are not completed until the Studio answers again.
    }
  }

  private announce(found: readonly Mention[]): void {
    const [first, ...rest] = found;
    if (!first) {
      return;
    }
    const { trans } = this.studio;
    const text =
      rest.length === 0
        ? trans.__(
            '%1 mentions you in %2',
            person(first.comment.made_by),
            baseName(first.anchor.document)
          )
        : trans.__('%1 comments mention you', found.length);
    Notification.info(text, {
      autoClose: 10_000,
      actions: [
        {
          label: trans.__('Show'),
          callback: () =>
            void this.studio.run('comments:show', rest.length === 0 ? { mention: first.comment.id } : {})
        }
      ]
    });
  }

  private readonly follow = (): void => {
    const panel = this.options.tracker.currentWidget;
    if (panel === this.panel) {
      return;
    }
    this.leave();
    this.panel = panel;
    this.composing = null;
    if (panel) {
      panel.context.pathChanged.connect(this.pathChanged);
      panel.content.activeCellChanged.connect(this.cellChanged);
      panel.content.modelChanged.connect(this.modelChanged);
      panel.disposed.connect(this.follow);
      this.modelChanged();
    }
    this.pathChanged();
  };

  private leave(): void {
    const { panel } = this;
    if (panel && !panel.isDisposed) {
      panel.context.pathChanged.disconnect(this.pathChanged);
      panel.content.activeCellChanged.disconnect(this.cellChanged);
      panel.content.modelChanged.disconnect(this.modelChanged);
      panel.disposed.disconnect(this.follow);
      panel.content.model?.cells.changed.disconnect(this.cellsChanged);
    }
    this.panel = null;
    this.cells = [];
    this.cell = '';
  }

  private readonly pathChanged = (): void => {
    const path = this.panel?.context.path ?? '';
    const document = this.options.contents.localPath(path);
    if (document !== this.document) {
      this.document = document;
      this.threads = [];
      this.loaded = false;
      this.error = null;
      this._changed.emit();
      void this.load();
    }
  };

  private readonly modelChanged = (): void => {
    this.panel?.content.model?.cells.changed.connect(this.cellsChanged);
    this.cellsChanged();
  };

  private readonly cellsChanged = (): void => {
    const cells = this.panel?.content.model?.cells ?? [];
    this.cells = [...cells].map(cell => ({
      id: cell.id,
      label: firstLine(cell.sharedModel.getSource())
    }));
    this.cellChanged(this, this.panel?.content.activeCell ?? null);
    this.arrive();
  };

  private readonly cellChanged = (_: unknown, cell: Cell | null): void => {
    this.cell = cell?.model.id ?? '';
    this._changed.emit();
  };

  /** Show what somebody wanted to see, once it is there. */
  private arrive(): void {
    const { wanted } = this;
    if (wanted?.document !== this.document || !this.loaded) {
      return;
    }
    if (wanted.part && this.cells.length === 0) {
      return;
    }
    const thread = this.threads.find(one => one.id === wanted.thread);
    this.wanted = null;
    void this.select(wanted.part);
    if (thread) {
      this.show(thread);
    }
  }

  private readonly fileChanged = (_: unknown, change: Contents.IChangedArgs): void => {
    const from = change.oldValue?.path;
    const to = change.newValue?.path;
    if (change.type === 'rename' && from && to && from !== to) {
      const { contents } = this.options;
      void this.moved(contents.localPath(from), contents.localPath(to));
    }
  };

  private async moved(document: string, to: string): Promise<void> {
    try {
      await this.client.post('/api/v1/comments:move', { document, to, kind: 'notebook' });
    } catch (error) {
      // NotFound: nobody has commented on it.
      if (!(error instanceof StudioError && error.status === 404)) {
        const { trans } = this.studio;
        Notification.warning(
          trans.__('The comments on %1 did not move with it; “Bring Comments Here” does it.', document)
        );
      }
    }
    await this.load();
  }
}

/** Notebooks before format 4.5 are saved without the ids of their cells: make it one of 4.5. */
function keepIds(panel: NotebookPanel | null): void {
  const shared = panel?.model?.sharedModel;
  if (shared && shared.nbformat === 4 && shared.nbformat_minor < 5) {
    // The shared notebook of jupyter-ydoc has no setter for it.
    const { ymeta } = shared as { ymeta?: { set: (name: string, value: number) => void } };
    ymeta?.set('nbformat_minor', 5);
  }
}

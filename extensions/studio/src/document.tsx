/** A tab in the main area that holds one page; the page's code is fetched when it is first drawn. */

import { Component, useEffect, useState, type JSX, type ReactNode } from 'react';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { graphIcon } from './icon.ts';
import { pages, type PageView } from './pages.ts';
import { Button } from './parts/form.tsx';
import { ErrorNote, Loading } from './parts/state.tsx';
import { Words } from './parts/words.ts';
import type { PageName, Project } from './context.ts';
import type { PageArgs } from './state.ts';
import type { Studio } from './studio.ts';
import { css } from './tokens.ts';

export interface DocumentArgs extends PageArgs {
  /** The project of the tab; the one shown when it is opened if empty. */
  project: string;
}

/** What a tab is called until its page says. */
export function pageTitle(page: PageName, trans: TranslationBundle): string {
  return {
    welcome: trans.__('Welcome'),
    'new-product': trans.__('New data product'),
    product: trans.__('Data product'),
    train: trans.__('Train a model'),
    'new-graph': trans.__('New graph'),
    'import-graph': trans.__('Import a graph'),
    graph: trans.__('Graph'),
    job: trans.__('Job'),
    model: trans.__('Model'),
    compare: trans.__('Compare models'),
    report: trans.__('Report'),
    study: trans.__('Search for settings'),
    schedule: trans.__('Schedule'),
    record: trans.__('Record')
  }[page];
}

/** One mistake in a page does not take the tab with it. */
class Guard extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    return this.state.error ? (
      <ErrorNote error={this.state.error} retry={() => this.setState({ error: null })} />
    ) : (
      this.props.children
    );
  }
}

interface HostProps {
  studio: Studio;
  args: DocumentArgs;
  setTitle: (title: string) => void;
}

function Host({ studio, args, setTitle }: HostProps): JSX.Element {
  const [view, setView] = useState<{ View: PageView } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  const [context] = useState(() => studio.at(args.project));
  useEffect(() => {
    let gone = false;
    Promise.all([pages[args.page](), import('./looks.ts')]).then(
      ([View]) => !gone && setView({ View }),
      (reason: unknown) => !gone && setError(reason)
    );
    return () => {
      gone = true;
    };
  }, [args.page, tries]);
  const retry = (): void => {
    setError(null);
    setTries(count => count + 1);
  };
  if (error) {
    return <ErrorNote error={error} retry={retry} />;
  }
  if (!view) {
    return <Loading retry={retry} />;
  }
  const { View } = view;
  return (
    <Guard>
      <Elsewhere studio={studio} here={context.project()} />
      <View studio={context} id={args.id} options={args.options} setTitle={setTitle} />
    </Guard>
  );
}

/** Says so when the tab is of another project than the one that is shown. */
function Elsewhere({ studio, here }: { studio: Studio; here: Project | null }): JSX.Element | null {
  const { trans } = studio;
  if (!here || here.id === studio.project()?.id) {
    return null;
  }
  return (
    <p className={css.note} role="status">
      {trans.__('This page is of the project “%1”.', here.title || here.name)}{' '}
      <Button kind="link" onClick={() => void studio.choose(here)}>
        {trans.__('Show that project')}
      </Button>
    </p>
  );
}

class PageWidget extends ReactWidget {
  private seen = false;

  constructor(
    private readonly studio: Studio,
    private readonly args: DocumentArgs
  ) {
    super();
    this.addClass(css.page);
    this.node.tabIndex = -1;
  }

  protected override onAfterAttach(message: Message): void {
    this.seen ||= this.isVisible;
    super.onAfterAttach(message);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.seen = true;
    this.update();
  }

  /** A tab of a restored layout asks for nothing until it is looked at. */
  protected override render(): JSX.Element | null {
    const { studio, args } = this;
    if (!this.seen) {
      return null;
    }
    return (
      <Words.Provider value={studio.trans}>
        <UseSignal signal={studio.told}>
          {() =>
            studio.project() ? (
              <Host studio={studio} args={args} setTitle={this.setTitle} />
            ) : studio.error ? (
              <ErrorNote error={studio.error} retry={() => void studio.start()} />
            ) : (
              <Loading retry={() => void studio.start()} />
            )
          }
        </UseSignal>
      </Words.Provider>
    );
  }

  private readonly setTitle = (title: string): void => {
    const widget = this.parent ?? this;
    const { projects } = this.studio;
    const project = projects.find(one => one.id === this.args.project) ?? this.studio.project();
    widget.title.label = title;
    widget.title.caption = project ? `${title} · ${project.title || project.name}` : title;
  };
}

export class StudioDocument extends MainAreaWidget<ReactWidget> {
  constructor(
    studio: Studio,
    readonly args: DocumentArgs
  ) {
    super({ content: new PageWidget(studio, args) });
    this.title.icon = graphIcon;
    this.title.label = pageTitle(args.page, studio.trans);
    this.title.caption = this.title.label;
    this.title.closable = true;
    this.toolbar.hide();
  }
}

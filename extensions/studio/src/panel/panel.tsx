/** The frame of the side panel; what is in it is fetched when the panel is first shown. */

import { useEffect, useState, type JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { graphIcon } from '../icon.ts';
import { ErrorNote, Loading } from '../parts/state.tsx';
import { Words } from '../parts/words.ts';
import type { Studio } from '../studio.ts';
import { css } from '../tokens.ts';

type View = (props: { studio: Studio }) => JSX.Element;

function Lazy({ studio }: { studio: Studio }): JSX.Element {
  const [found, setFound] = useState<{ View: View } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let gone = false;
    Promise.all([import('./view.tsx'), import('../looks.ts')]).then(
      ([module]) => !gone && setFound({ View: module.default }),
      (reason: unknown) => !gone && setError(reason)
    );
    return () => {
      gone = true;
    };
  }, [tries]);
  const retry = (): void => {
    setError(null);
    setTries(count => count + 1);
  };
  if (error) {
    return <ErrorNote error={error} retry={retry} />;
  }
  return found ? <found.View studio={studio} /> : <Loading retry={retry} />;
}

export class StudioPanel extends ReactWidget {
  private seen = false;

  constructor(private readonly studio: Studio) {
    super();
    this.addClass(css.panel);
    this.title.icon = graphIcon;
    this.title.caption = studio.trans.__('NexusAI Studio');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
  }

  protected override onAfterAttach(message: Message): void {
    this.seen = this.isVisible;
    super.onAfterAttach(message);
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.seen = true;
    this.update();
  }

  protected override render(): JSX.Element | null {
    if (!this.seen) {
      return null;
    }
    return (
      <Words.Provider value={this.studio.trans}>
        <Lazy studio={this.studio} />
      </Words.Provider>
    );
  }
}

/** The frame of a side panel; what is in it is fetched when the panel is first shown. */

import type { ComponentType, JSX } from 'react';
import { ReactWidget, type LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Lazy } from '../parts/lazy.tsx';
import { Words } from '../parts/words.ts';
import type { Studio } from '../studio.ts';
import { css } from '../tokens.ts';

export class SidePanel extends ReactWidget {
  private seen = false;

  /** @param load - Fetches what is in the panel. */
  constructor(
    private readonly studio: Studio,
    title: string,
    icon: LabIcon,
    private readonly load: () => Promise<ComponentType>
  ) {
    super();
    this.addClass(css.panel);
    this.title.icon = icon;
    this.title.caption = title;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', title);
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
        <Lazy load={this.load} />
      </Words.Provider>
    );
  }
}

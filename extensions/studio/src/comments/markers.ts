/** The mark on a cell that people have something to say about. */

import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { PanelLayout, Widget } from '@lumino/widgets';
import type { Comments } from './model.ts';
import { openCounts } from './state.ts';

class Marker extends Widget {
  private readonly button: HTMLButtonElement;

  constructor(onClick: () => void) {
    super();
    this.addClass('nx-Marker');
    // Keys pressed on it are the button's, not the notebook's.
    this.node.setAttribute('data-lm-suppress-shortcuts', 'true');
    this.button = document.createElement('button');
    this.button.type = 'button';
    this.button.addEventListener('click', onClick);
    this.node.append(this.button);
  }

  tell(count: number, label: string): void {
    this.button.textContent = String(count);
    this.button.title = label;
    this.button.setAttribute('aria-label', label);
  }
}

/** Keeps the marks of the notebook in front as many as there are open threads. */
export class Markers {
  private readonly marks = new WeakMap<Cell, Marker>();

  /** @param open - Shows the threads of a cell. */
  constructor(
    private readonly comments: Comments,
    private readonly open: (part: string) => void
  ) {
    comments.changed.connect(() => this.draw());
  }

  private draw(): void {
    const { notebook, loaded, threads } = this.comments;
    if (notebook && loaded && !notebook.isDisposed) {
      this.mark(notebook, openCounts(threads));
    }
  }

  private mark(notebook: NotebookPanel, counts: ReadonlyMap<string, number>): void {
    const { trans } = this.comments.studio;
    for (const cell of notebook.content.widgets) {
      const count = counts.get(cell.model.id) ?? 0;
      let mark = this.marks.get(cell);
      if (count === 0) {
        mark?.dispose();
        this.marks.delete(cell);
      } else if (cell.layout instanceof PanelLayout) {
        if (!mark) {
          mark = new Marker(() => this.open(cell.model.id));
          this.marks.set(cell, mark);
          cell.layout.addWidget(mark);
        }
        mark.tell(count, trans._n('%1 open comment thread', '%1 open comment threads', count));
      }
    }
  }
}

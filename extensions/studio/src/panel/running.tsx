/** The running jobs, in the status bar. */

import type { JSX } from 'react';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import { percent } from '../state.ts';
import { jobTitle } from '../titles.ts';
import type { Studio } from '../studio.ts';

export class RunningItem extends ReactWidget {
  constructor(private readonly studio: Studio) {
    super();
    this.addClass('nx-Running');
  }

  protected override render(): JSX.Element {
    const { studio } = this;
    return (
      <UseSignal signal={studio.told}>
        {() => {
          const [first, ...rest] = studio.active;
          if (!first) {
            return null;
          }
          const share = percent(first.progress);
          const text =
            rest.length === 0
              ? studio.trans.__('%1: %2 %', jobTitle(first, studio.trans), share)
              : studio.trans.__('%1 jobs running', rest.length + 1);
          return (
            <button
              type="button"
              className="nx-Running-button"
              title={studio.trans.__('Show what is running')}
              onClick={() =>
                rest.length === 0
                  ? studio.open('job', first.id)
                  : void studio.run('studio:show-panel', { section: 'jobs' })
              }
            >
              <progress max={100} value={share} aria-hidden="true" />
              {text}
            </button>
          );
        }}
      </UseSignal>
    );
  }
}

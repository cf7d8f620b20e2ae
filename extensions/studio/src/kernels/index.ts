/** Cells that go on: who opens a notebook while one of its cells runs follows it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { type CodeCell, isCodeCellModel } from '@jupyterlab/cells';
import { URLExt } from '@jupyterlab/coreutils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { type Kernel, ServerConnection } from '@jupyterlab/services';
import { ID } from '../studio.ts';
import { type Run, placeOf, runsFrom } from './state.ts';

export const kernels: JupyterFrontEndPlugin<void> = {
  id: `${ID}:kernels`,
  description: 'Shows in a notebook what its cells print that were running when it was opened.',
  requires: [INotebookTracker],
  autoStart: true,
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker) => {
    const { serverSettings } = app.serviceManager;
    tracker.widgetAdded.connect((_, panel) => {
      // Where people share the document, the server writes into it what comes.
      void panel.context.ready.then(() => {
        if (!panel.context.model.collaborative) {
          const look = (): void => void follow(panel, serverSettings);
          panel.sessionContext.kernelChanged.connect(look);
          void panel.sessionContext.ready.then(look);
        }
      });
    });
  }
};

async function follow(panel: NotebookPanel, settings: ServerConnection.ISettings): Promise<void> {
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel || panel.isDisposed) {
    return;
  }
  const path = encodeURIComponent(panel.sessionContext.path);
  const url = URLExt.join(settings.baseUrl, 'studio/runs') + `?path=${path}`;
  const answer = await ServerConnection.makeRequest(url, {}, settings);
  if (!answer.ok) {
    // A Lab without the Studio's server keeps no runs.
    return;
  }
  const cells = panel.content.widgets;
  for (const run of runsFrom(await answer.json())) {
    const place = placeOf(
      cells.map(cell => ({
        id: cell.model.id,
        code: isCodeCellModel(cell.model) ? cell.model.sharedModel.getSource() : null
      })),
      run
    );
    if (place >= 0 && kernel.id === run.kernel) {
      attach(cells[place] as CodeCell, kernel, run);
    }
  }
}

/** Ask for a run that goes on: the server answers with all it printed, and what it prints. */
function attach(cell: CodeCell, kernel: Kernel.IKernelConnection, run: Run): void {
  const { model } = cell;
  if (model.executionState === 'running') {
    return;
  }
  const asked = { code: '', silent: true, store_history: false, allow_stdin: false };
  const future = kernel.requestExecute(asked, false, { run: run.id });
  cell.outputArea.future = future;
  model.executionState = 'running';
  void future.done.then(reply => {
    if (!model.isDisposed) {
      model.executionCount = reply.content.execution_count ?? null;
      model.executionState = 'idle';
    }
  });
}

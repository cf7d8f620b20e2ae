/** Cells that go on, and what kernels use: wiring only. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { type CodeCell, isCodeCellModel } from '@jupyterlab/cells';
import { URLExt } from '@jupyterlab/coreutils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { type Kernel, ServerConnection } from '@jupyterlab/services';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { ID } from '../studio.ts';
import { time } from '../tokens.ts';
import { type Run, placeOf, runsFrom, takenBy } from './state.ts';
import { KernelUse } from './use.tsx';

export const runs: JupyterFrontEndPlugin<void> = {
  id: `${ID}:runs`,
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

export const uses: JupyterFrontEndPlugin<void> = {
  id: `${ID}:kernel-use`,
  description: 'The memory and processor that the kernel of the notebook in front uses.',
  requires: [INotebookTracker, IStatusBar],
  optional: [ITranslator],
  autoStart: true,
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    bar: IStatusBar,
    translator: ITranslator | null
  ) => {
    const item = new KernelUse((translator ?? nullTranslator).load('nexus_studio'));
    const changed = new Signal<KernelUse, void>(item);
    const { serverSettings } = app.serviceManager;
    const look = async (): Promise<void> => {
      const kernel = tracker.currentWidget?.sessionContext.session?.kernel;
      const shown =
        kernel && document.visibilityState === 'visible'
          ? takenBy(await asked('studio/kernels', serverSettings), kernel.id)
          : null;
      item.set(shown);
      changed.emit();
    };
    const often = (): void => {
      // A server that is away has said so by itself.
      void look()
        .catch(() => item.set(null))
        .finally(() => window.setTimeout(often, time.look));
    };
    void app.restored.then(often);
    tracker.currentChanged.connect(() => void look().catch(() => item.set(null)));
    bar.registerStatusItem(`${ID}:kernel-use`, {
      item,
      align: 'left',
      rank: 80,
      isActive: () => item.shows,
      activeStateChanged: changed
    });
  }
};

/** The server's answer; null where it is not the Studio's. */
async function asked(path: string, settings: ServerConnection.ISettings): Promise<unknown> {
  const url = URLExt.join(settings.baseUrl, path);
  const answer = await ServerConnection.makeRequest(url, {}, settings);
  return answer.ok ? answer.json() : null;
}

async function follow(panel: NotebookPanel, settings: ServerConnection.ISettings): Promise<void> {
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel || panel.isDisposed) {
    return;
  }
  const path = encodeURIComponent(panel.sessionContext.path);
  const cells = panel.content.widgets;
  for (const run of runsFrom(await asked(`studio/runs?path=${path}`, settings))) {
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
  const request = { code: '', silent: true, store_history: false, allow_stdin: false };
  const future = kernel.requestExecute(request, false, { studio_run: run.id });
  cell.outputArea.future = future;
  model.executionState = 'running';
  void future.done.then(reply => {
    if (!model.isDisposed) {
      model.executionCount = reply.content.execution_count ?? null;
      model.executionState = 'idle';
    }
  });
}

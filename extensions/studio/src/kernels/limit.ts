/** How much memory the kernel of a notebook may have: the notebook says so. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, InputDialog } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandIDs, limitDescription } from '../commands.ts';
import { saved } from '../notebooks/saved.ts';
import { ID } from '../studio.ts';

/** What the notebook allows its kernel, in MiB; 0 if it says nothing. */
function limitOf(panel: NotebookPanel): number {
  const told = panel.content.model?.getMetadata('studio') as { memory_mb?: unknown } | undefined;
  return typeof told?.memory_mb === 'number' ? told.memory_mb : 0;
}

export const limit: JupyterFrontEndPlugin<void> = {
  id: `${ID}:kernel-limit`,
  description: 'Limits the memory of a notebook’s kernel.',
  requires: [INotebookTracker],
  optional: [ICommandPalette, ITranslator],
  autoStart: true,
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('nexus_studio');
    commands.addCommand(CommandIDs.limitKernel, {
      label: trans.__('Limit the Kernel’s Memory …'),
      caption: trans.__('How much the kernel of this notebook may have; it is started anew'),
      describedBy: limitDescription,
      isEnabled: () => {
        const model = tracker.currentWidget?.context.model;
        return model !== undefined && !model.readOnly;
      },
      execute: async args => {
        const panel = tracker.currentWidget;
        const model = panel?.content.model;
        if (!panel || !model) {
          return;
        }
        const asked =
          typeof args.memory === 'number'
            ? args.memory
            : (
                await InputDialog.getNumber({
                  title: trans.__('The kernel’s memory'),
                  label: trans.__('MiB, 256 at least; 0: as much as the project allows. Variables are lost.'),
                  value: limitOf(panel),
                  okLabel: trans.__('Limit and restart')
                })
              ).value;
        if (asked === null || !Number.isFinite(asked) || asked < 0) {
          return;
        }
        const others = { ...(model.getMetadata('studio') as object | undefined) };
        model.setMetadata('studio', { ...others, memory_mb: Math.round(asked) });
        // The server reads it from the file when the kernel starts.
        if (!(await saved(panel.context, serviceManager.contents))) {
          throw new Error(trans.__('%1 was not saved, so its kernel keeps its limit.', panel.title.label));
        }
        await panel.sessionContext.restartKernel();
      }
    });
    palette?.addItem({ command: CommandIDs.limitKernel, category: trans.__('Studio') });
  }
};

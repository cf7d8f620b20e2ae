/** Comments on the cells of notebooks: wiring only. */

import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Dialog, ICommandPalette, InputDialog, showErrorMessage } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { commentIcon } from '../icon.ts';
import { ID, IStudio, type Studio } from '../studio.ts';
import { Markers } from './markers.ts';
import { Comments } from './model.ts';
import { CommentsPanel } from './panel.tsx';

export const CommentIDs = {
  add: 'comments:add',
  show: 'comments:show',
  bring: 'comments:bring'
} as const;

export const comments: JupyterFrontEndPlugin<void> = {
  id: `${ID}:comments`,
  description: 'Comments on the cells of notebooks, beside them and on a mark at each.',
  requires: [IStudio, INotebookTracker],
  optional: [ILayoutRestorer, ICommandPalette],
  autoStart: true,
  activate: (
    app,
    studio: Studio,
    tracker: INotebookTracker,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const { commands } = app;
    const { trans } = studio;
    const model = new Comments({
      studio,
      tracker,
      contents: app.serviceManager.contents,
      reveal: panel => {
        if (!panel.isVisible) {
          app.shell.activateById(panel.id);
        }
      }
    });
    const panel = new CommentsPanel(model);
    panel.id = 'nexus-studio-comments';
    app.shell.add(panel, 'right', { rank: 700 });
    restorer?.add(panel, panel.id);
    const show = (): void => app.shell.activateById(panel.id);
    new Markers(model, part => {
      const first = model.threads.find(one => one.anchor.part === part && !one.resolved_at);
      show();
      if (first) {
        model.show(first);
      }
    });
    addCommands(app, model, show);
    model.changed.connect(() => commands.notifyCommandChanged(CommentIDs.add));
    const category = trans.__('Studio');
    for (const command of Object.values(CommentIDs)) {
      palette?.addItem({ command, category });
    }
  }
};

function addCommands(app: JupyterFrontEnd, model: Comments, show: () => void): void {
  const { commands } = app;
  const { trans } = model.studio;
  const nothing = { type: 'object', properties: {} } as const;

  commands.addCommand(CommentIDs.add, {
    label: trans.__('Comment on This Cell'),
    caption: trans.__('Comment on this cell'),
    icon: commentIcon,
    describedBy: { args: nothing },
    isEnabled: () => model.cell !== '' && model.mayComment,
    execute: () => {
      show();
      model.compose(model.cell);
    }
  });

  commands.addCommand(CommentIDs.show, {
    label: trans.__('Show Comments'),
    icon: commentIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          mention: { type: 'string', description: 'The comment that mentions you, to be opened.' }
        }
      }
    },
    execute: async args => {
      show();
      const found = model.mentions.find(one => one.comment.id === args.mention);
      if (found) {
        await model.open(found);
      }
    }
  });

  commands.addCommand(CommentIDs.bring, {
    label: trans.__('Bring Comments Here …'),
    caption: trans.__('The comments of a notebook that was moved outside JupyterLab'),
    describedBy: { args: nothing },
    isEnabled: () => model.document !== '' && model.role !== 'viewer',
    execute: async () => {
      const answer = await InputDialog.getText({
        title: trans.__('Bring comments here'),
        label: trans.__('The path the notebook had before'),
        placeholder: trans.__('notes/old-name.ipynb'),
        okLabel: trans.__('Bring')
      });
      const from = answer.button.accept ? (answer.value ?? '').trim() : '';
      if (!from) {
        return;
      }
      try {
        const moved = await model.bring(from);
        model.studio.notify(
          trans._n('%1 thread is here now.', '%1 threads are here now.', moved)
        );
      } catch (error) {
        const told = error instanceof Error ? error.message : String(error);
        await showErrorMessage(trans.__('No comments were brought here'), told, [
          Dialog.okButton({ label: trans.__('Close') })
        ]);
      }
    }
  });
}

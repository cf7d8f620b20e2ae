/** Notebooks that run as jobs: the commands, and where they are found. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { historyIcon, runIcon } from '@jupyterlab/ui-components';
import { CommandIDs, notebookDescription } from '../commands.ts';
import { ID, IStudio, type Studio } from '../studio.ts';
import { saved } from './saved.ts';

export const notebooks: JupyterFrontEndPlugin<void> = {
  id: `${ID}:notebooks`,
  description: 'Runs a notebook as a job, and opens what came of it.',
  requires: [IStudio],
  optional: [INotebookTracker, IDefaultFileBrowser, ICommandPalette],
  autoStart: true,
  activate: (
    { commands, serviceManager }: JupyterFrontEnd,
    studio: Studio,
    tracker: INotebookTracker | null,
    files: IDefaultFileBrowser | null,
    palette: ICommandPalette | null
  ) => {
    const { trans } = studio;
    /** The notebook that is meant: the one chosen among the files, or the one in front. */
    const meant = (chosen: boolean): string => {
      const [item] = chosen && files ? [...files.selectedItems()] : [];
      return item?.type === 'notebook' ? item.path : (tracker?.currentWidget?.context.path ?? '');
    };
    /** Among people who share it, its document has a place of its own in front of its path. */
    const plain = (path: string): string => path.slice(path.indexOf(':') + 1);

    commands.addCommand(CommandIDs.runNotebook, {
      label: trans.__('Run as a Job'),
      caption: trans.__('Run all cells of a copy in the background; it goes on without a browser'),
      icon: args => (args.chosen === true ? runIcon : undefined),
      isEnabled: args => studio.home !== null && meant(args.chosen === true) !== '',
      describedBy: notebookDescription,
      execute: async args => {
        const path = typeof args.path === 'string' ? args.path : meant(args.chosen === true);
        const { home } = studio;
        if (!path || !home) {
          return null;
        }
        const open = tracker?.find(one => one.context.path === path);
        if (open?.context.model.dirty && !open.context.model.readOnly) {
          if (!(await saved(open.context, serviceManager.contents))) {
            throw new Error(trans.__('%1 was not saved, so it was not run.', open.title.label));
          }
        }
        const there = studio.at(home.id);
        const job = await there.client.post('/api/v1/notebooks:run', { notebook: plain(path) });
        there.open('job', job.id);
        return { ...job };
      }
    });
    commands.addCommand(CommandIDs.scheduleNotebook, {
      label: trans.__('Run on a Schedule …'),
      caption: trans.__('Run all cells of a copy again and again, at the times you say'),
      icon: args => (args.chosen === true ? historyIcon : undefined),
      isEnabled: args => studio.home !== null && meant(args.chosen === true) !== '',
      describedBy: notebookDescription,
      execute: args => {
        const path = typeof args.path === 'string' ? args.path : meant(args.chosen === true);
        if (path && studio.home) {
          studio.at(studio.home.id).open('schedule', '', {
            action: 'notebooks.run',
            request: JSON.stringify({ notebook: plain(path) })
          });
        }
        return null;
      }
    });
    commands.addCommand(CommandIDs.openNotebook, {
      label: trans.__('Open the Notebook'),
      describedBy: notebookDescription,
      execute: async args => {
        if (args.project !== studio.home?.id) {
          studio.notify(trans.__('It lies among the files of another project: open that one first.'));
          return null;
        }
        await commands.execute('docmanager:open', { path: args.path });
        return null;
      }
    });
    for (const command of [CommandIDs.runNotebook, CommandIDs.scheduleNotebook]) {
      palette?.addItem({ command, category: trans.__('Studio') });
    }
  }
};

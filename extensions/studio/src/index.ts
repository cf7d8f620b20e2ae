/** The plugins of the extension: wiring only. */

import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { ILauncher } from '@jupyterlab/launcher';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { comments } from './comments/index.ts';
import { CommandIDs, addCommands, openDescription, panelDescription } from './commands.ts';
import { StudioDocument, pageTitle } from './document.tsx';
import { graphIcon } from './icon.ts';
import { runs, uses } from './kernels/index.ts';
import { limit } from './kernels/limit.ts';
import { PAGES } from './names.ts';
import { notebooks } from './notebooks/index.ts';
import { StudioPanel } from './panel/panel.tsx';
import { RunningItem } from './panel/running.tsx';
import { SECTIONS, pageArgs, tabOf } from './state.ts';
import { ID, IStudio, Studio } from './studio.ts';

/** The service lies beside the hub; a Lab without a hub names it in `studioUrl`. */
function serviceUrl(): string {
  const named = PageConfig.getOption('studioUrl');
  const hub = PageConfig.getOption('hubPrefix') || '/hub/';
  return named || `${hub.replace(/hub\/?$/, '')}services/studio/`;
}

const session: JupyterFrontEndPlugin<Studio> = {
  id: `${ID}:session`,
  description: 'Signs in to the Studio’s service and follows what happens there.',
  provides: IStudio,
  requires: [IStateDB],
  optional: [ITranslator],
  autoStart: true,
  activate: (app, state: IStateDB, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load('nexus_studio');
    const studio = new Studio({ base: serviceUrl(), commands: app.commands, trans, state });
    void app.restored.then(() => studio.start());
    return studio;
  }
};

const documents: JupyterFrontEndPlugin<void> = {
  id: `${ID}:documents`,
  description: 'The Studio’s pages as tabs, restored with the layout.',
  requires: [IStudio],
  optional: [ILayoutRestorer],
  autoStart: true,
  activate: (app, studio: Studio, restorer: ILayoutRestorer | null) => {
    const tracker = new WidgetTracker<StudioDocument>({ namespace: 'nexus-studio' });
    app.commands.addCommand(CommandIDs.open, {
      label: args => {
        const found = pageArgs(args);
        return found ? pageTitle(found.page, studio.trans) : studio.trans.__('Open in the Studio');
      },
      icon: graphIcon,
      describedBy: openDescription(PAGES),
      execute: args => {
        const found = pageArgs(args);
        if (!found) {
          throw new Error(`There is no page ${JSON.stringify(args.page)}.`);
        }
        const project =
          typeof args.project === 'string' ? args.project : (studio.project()?.id ?? '');
        const id = `studio-${tabOf(found)}-${project}`;
        let widget = tracker.find(one => one.id === id);
        if (!widget) {
          widget = new StudioDocument(studio, { ...found, project });
          widget.id = id;
          if (typeof args.title === 'string') {
            widget.title.label = args.title;
          }
          const made = widget;
          made.title.changed.connect(() => void tracker.save(made));
          void tracker.add(made);
        }
        // A tab that is restored is put in its place, and in front, by the layout.
        const restored = typeof args.title === 'string';
        if (!widget.isAttached) {
          app.shell.add(widget, 'main', { activate: !restored });
        }
        if (!restored) {
          app.shell.activateById(widget.id);
        }
      }
    });
    if (restorer) {
      void restorer.restore(tracker, {
        command: CommandIDs.open,
        name: widget => widget.id,
        args: ({ args: { page, id, options, project }, title }) => {
          const kept = Object.fromEntries(Object.entries(options).filter(([name]) => name !== 'file'));
          return { page, id, options: kept, project, title: title.label };
        }
      });
    }
  }
};

const plugin: JupyterFrontEndPlugin<void> = {
  id: `${ID}:plugin`,
  description: 'The Studio’s side panel, commands, launcher cards and welcome page.',
  requires: [IStudio],
  optional: [ILayoutRestorer, ICommandPalette, ILauncher, ISettingRegistry, ILabShell],
  autoStart: true,
  activate: (
    app,
    studio: Studio,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    registry: ISettingRegistry | null,
    shell: ILabShell | null
  ) => {
    const { commands } = app;
    const { trans } = studio;
    const panel = new StudioPanel(studio);
    panel.id = 'nexus-studio-panel';
    app.shell.add(panel, 'left', { rank: 50 });
    restorer?.add(panel, panel.id);

    commands.addCommand(CommandIDs.panel, {
      label: trans.__('Show the Studio Panel'),
      icon: graphIcon,
      describedBy: panelDescription,
      execute: args => {
        const section = SECTIONS.find(one => one === args.section);
        if (section) {
          studio.showSection(section);
        }
        app.shell.activateById(panel.id);
      }
    });
    addCommands(commands, studio);
    studio.switched.connect(() => commands.notifyCommandChanged());

    const category = trans.__('Studio');
    const {
      panel: show,
      register,
      newGraph,
      importGraph,
      train,
      compare,
      assess,
      verify,
      project,
      newProject,
      open
    } = CommandIDs;
    for (const command of [
      show,
      register,
      newGraph,
      importGraph,
      train,
      compare,
      assess,
      verify,
      project,
      newProject
    ]) {
      palette?.addItem({ command, category });
    }
    for (const page of ['welcome', 'record']) {
      palette?.addItem({ command: open, args: { page }, category });
    }
    launcher?.add({ command: register, args: { isLauncher: true }, category, rank: 0 });
    launcher?.add({ command: newGraph, args: { isLauncher: true }, category, rank: 1 });
    launcher?.add({ command: train, args: { isLauncher: true }, category, rank: 2 });
    launcher?.add({ command: open, args: { page: 'welcome' }, category, rank: 3 });
    launcher?.add({ command: open, args: { page: 'record' }, category, rank: 4 });

    if (shell) {
      void startPage(app, shell, panel, registry);
    }
  }
};

/** In a new workspace the panel is in front; where nothing is open, the welcome page is. */
async function startPage(
  app: JupyterFrontEnd,
  shell: ILabShell,
  panel: StudioPanel,
  registry: ISettingRegistry | null
): Promise<void> {
  const [layout, settings] = await Promise.all([
    shell.restored,
    registry?.load(`${ID}:plugin`).catch(() => null)
  ]);
  const wants = (name: string): boolean => settings?.get(name).composite !== false;
  if (layout.fresh && wants('panel')) {
    shell.activateById(panel.id);
  }
  const isLauncher = (id: string): boolean => id.startsWith('launcher');
  const open = [...shell.widgets('main')];
  if (wants('welcome') && open.every(widget => isLauncher(widget.id))) {
    await app.commands.execute(CommandIDs.open, { page: 'welcome', project: '' });
    for (const widget of [...shell.widgets('main')]) {
      if (isLauncher(widget.id)) {
        widget.close();
      }
    }
  }
}

const status: JupyterFrontEndPlugin<void> = {
  id: `${ID}:status`,
  description: 'The running jobs in the status bar.',
  requires: [IStudio, IStatusBar],
  autoStart: true,
  activate: (_app, studio: Studio, bar: IStatusBar) => {
    bar.registerStatusItem(`${ID}:status`, {
      item: new RunningItem(studio),
      align: 'left',
      rank: 90,
      isActive: () => studio.active.length > 0,
      activeStateChanged: studio.told
    });
  }
};

export default [session, documents, plugin, status, comments, runs, uses, limit, notebooks];

/** The commands: what each is called, what it takes, what it does. */

import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Dialog, InputDialog, showErrorMessage } from '@jupyterlab/apputils';
import { graphIcon } from './icon.ts';
import { SECTIONS, nameFrom } from './state.ts';
import type { Studio } from './studio.ts';

export const CommandIDs = {
  open: 'studio:open',
  panel: 'studio:show-panel',
  project: 'studio:switch-project',
  newProject: 'projects:create_project',
  register: 'data:register',
  newGraph: 'documents:create_document',
  importGraph: 'documents:import_document',
  train: 'models:train',
  compare: 'models:compare',
  assess: 'ethics:assess',
  cancel: 'pipelines:cancel',
  retry: 'pipelines:retry',
  verify: 'audit:verify',
  runNotebook: 'notebooks:run',
  openNotebook: 'notebooks:open',
  scheduleNotebook: 'notebooks:schedule',
  limitKernel: 'kernels:limit'
} as const;

type Args = ReadonlyPartialJSONObject;

const string = (description: string): ReadonlyJSONObject => ({ type: 'string', description });
const strings = (description: string): ReadonlyJSONObject => ({
  type: 'array',
  items: { type: 'string' },
  description
});

function takes(properties: ReadonlyJSONObject, required: string[] = []): { args: ReadonlyJSONObject } {
  return { args: { type: 'object', properties, required } };
}

const text = (args: Args, name: string): string => {
  const value = args[name];
  return typeof value === 'string' ? value : '';
};

const texts = (args: Args, name: string): string[] => {
  const value = args[name];
  return Array.isArray(value) ? value.filter(one => typeof one === 'string') : [];
};

/** Everything but `studio:open` and `studio:show-panel`, which need the shell. */
export function addCommands(commands: CommandRegistry, studio: Studio): void {
  const { trans } = studio;
  const mayWrite = (): boolean => studio.project() === null || studio.mayWrite;

  commands.addCommand(CommandIDs.register, {
    label: args => (args.isLauncher ? trans.__('Bring a table') : trans.__('New Data Product')),
    caption: trans.__('Register a table as a data product of the project'),
    icon: graphIcon,
    isEnabled: mayWrite,
    describedBy: takes({
      source: string(
        'A path in the project’s files, or `sql:SELECT …`; without it, the page that asks.'
      ),
      name: string('What the product is called; from the source if absent.'),
      description: string('A sentence on what it holds.'),
      sensitive: strings('Columns to treat as sensitive.')
    }),
    execute: async args => {
      const source = text(args, 'source');
      if (!source) {
        studio.open('new-product');
        return null;
      }
      const product = await studio.client.post('/api/v1/data:register', {
        source,
        name: text(args, 'name'),
        description: text(args, 'description'),
        sensitive: texts(args, 'sensitive')
      });
      studio.open('product', product.id);
      return { ...product };
    }
  });

  commands.addCommand(CommandIDs.newGraph, {
    label: args => (args.isLauncher ? trans.__('Draw a network') : trans.__('New Graph')),
    caption: trans.__('Draw a network that several people change together'),
    icon: graphIcon,
    isEnabled: mayWrite,
    describedBy: takes({
      name: string('What it is called, new in the project; without it, the page that asks.'),
      template: string('The template to begin with; an input and an output if absent.')
    }),
    execute: async args => {
      const name = text(args, 'name');
      if (!name) {
        studio.open('new-graph');
        return null;
      }
      const document = await studio.client.post('/api/v1/documents/documents', {
        name,
        template: text(args, 'template')
      });
      studio.open('graph', document.id);
      return { ...document };
    }
  });

  commands.addCommand(CommandIDs.importGraph, {
    label: trans.__('Import a Graph…'),
    caption: trans.__('Bring a network from an ONNX file, or a graph that was exported'),
    icon: graphIcon,
    isEnabled: mayWrite,
    describedBy: takes({}),
    execute: () => studio.open('import-graph')
  });

  commands.addCommand(CommandIDs.train, {
    label: args => (args.isLauncher ? trans.__('Train a model') : trans.__('Train a Model')),
    caption: trans.__('Train a model on a data product'),
    icon: graphIcon,
    isEnabled: mayWrite,
    describedBy: takes({
      product: string('Id or name of the data product; without it, the page that asks.'),
      target: string('The column to predict; without it, the page that asks.'),
      estimator: string('network, or the name of an estimator.')
    }),
    execute: async args => {
      const product = text(args, 'product');
      const target = text(args, 'target');
      if (!product || !target) {
        studio.open('train', product);
        return null;
      }
      const job = await studio.client.post('/api/v1/models:train', {
        product,
        target,
        ...(text(args, 'estimator') ? { estimator: text(args, 'estimator') } : {})
      });
      studio.open('job', job.id);
      return { ...job };
    }
  });

  commands.addCommand(CommandIDs.compare, {
    label: trans.__('Compare Models'),
    caption: trans.__('See models side by side on the same rows'),
    icon: graphIcon,
    describedBy: takes({ models: strings('Ids or names; without them, the page that asks.') }),
    execute: args => studio.open('compare', texts(args, 'models').join(','))
  });

  commands.addCommand(CommandIDs.assess, {
    label: trans.__('Assess a Model'),
    caption: trans.__('Measure how a model treats groups of people'),
    icon: graphIcon,
    isEnabled: mayWrite,
    describedBy: takes({
      model: string('Id or name of the model; without it, the list to choose from.'),
      sensitive: strings('The columns that divide people into groups; the product’s if absent.')
    }),
    execute: async args => {
      const model = text(args, 'model');
      if (!model) {
        studio.showSection('models');
        await studio.run(CommandIDs.panel);
        return null;
      }
      const job = await studio.client.post('/api/v1/ethics:assess', {
        model,
        sensitive: texts(args, 'sensitive')
      });
      studio.open('job', job.id);
      return { ...job };
    }
  });

  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Stop a Job'),
    isEnabled: mayWrite,
    describedBy: takes({ id: string('The job.') }, ['id']),
    execute: args => studio.client.post('/api/v1/pipelines:cancel', { id: text(args, 'id') })
  });

  commands.addCommand(CommandIDs.retry, {
    label: trans.__('Run a Job Again'),
    isEnabled: mayWrite,
    describedBy: takes({ id: string('The job.') }, ['id']),
    execute: async args => {
      const job = await studio.client.post('/api/v1/pipelines:retry', { id: text(args, 'id') });
      studio.open('job', job.id);
      return { ...job };
    }
  });

  commands.addCommand(CommandIDs.verify, {
    label: trans.__('Verify the Record'),
    caption: trans.__('Check that no event of the record was changed or removed'),
    icon: graphIcon,
    describedBy: takes({}),
    execute: () => studio.open('record', '', { verify: 'yes' })
  });

  commands.addCommand(CommandIDs.project, {
    label: trans.__('Switch Project …'),
    caption: trans.__('Show another of your projects'),
    describedBy: takes({ project: string('Id or name; asked for if absent.') }),
    isEnabled: () => studio.projects.length > 0,
    execute: async args => {
      const { projects } = studio;
      let wanted = text(args, 'project');
      if (!wanted) {
        const labels = projects.map(one => `${one.title || one.name} (${one.role})`);
        const answer = await InputDialog.getItem({
          title: trans.__('Switch project'),
          label: trans.__('Project'),
          items: labels,
          current: Math.max(
            0,
            projects.findIndex(one => one.id === studio.project()?.id)
          ),
          okLabel: trans.__('Switch')
        });
        wanted = projects[labels.indexOf(answer.value ?? '')]?.id ?? '';
      }
      const found = projects.find(one => one.id === wanted || one.name === wanted);
      if (found) {
        await studio.choose(found);
      }
    }
  });

  commands.addCommand(CommandIDs.newProject, {
    label: trans.__('New Project …'),
    caption: trans.__('Make a project of your own'),
    describedBy: takes({ title: string('What people read; asked for if absent.') }),
    execute: async args => {
      let title = text(args, 'title');
      if (!title) {
        const answer = await InputDialog.getText({
          title: trans.__('New project'),
          label: trans.__('What is it called?'),
          placeholder: trans.__('Fair lending'),
          okLabel: trans.__('Create')
        });
        title = answer.button.accept ? (answer.value ?? '').trim() : '';
      }
      if (!title) {
        return;
      }
      try {
        const project = await studio.client.post('/api/v1/projects/projects', {
          name: nameFrom(title) || `project-${Date.now().toString(36)}`,
          title
        });
        await studio.choose(project);
        studio.open('welcome');
      } catch (error) {
        const told = error instanceof Error ? error.message : String(error);
        await showErrorMessage(trans.__('The project was not made'), told, [
          Dialog.okButton({ label: trans.__('Close') })
        ]);
      }
    }
  });
}

/** For `studio:open`. */
export function openDescription(pages: readonly string[]): { args: ReadonlyJSONObject } {
  return takes(
    {
      page: { type: 'string', enum: [...pages], description: 'Which page.' },
      id: string('What it shows, for the pages that show one thing.'),
      project: string('Id of the project; the one shown if absent.'),
      options: { type: 'object', additionalProperties: { type: 'string' } }
    },
    ['page']
  );
}

/** For `studio:show-panel`. */
export const panelDescription = takes({
  section: { type: 'string', enum: [...SECTIONS], description: 'The section to open.' }
});

/** For `kernels:limit`. */
export const limitDescription = takes({
  memory: { type: 'integer', description: 'MiB; 0 for no limit of its own. Asked for if absent.' }
});

/** For `notebooks:run` and `notebooks:open`. */
export const notebookDescription = takes({
  path: string('The notebook’s path; the one in front if absent.'),
  project: string('Id of the project that it lies in.'),
  chosen: { type: 'boolean', description: 'The one chosen among the files instead.' }
});

/** That a notebook's file says what its screen says. */

import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { JSONExt, type JSONValue } from '@lumino/coreutils';

type Notebook = ReturnType<NonNullable<NotebookPanel['model']>['sharedModel']['toJSON']>;

const TRIES = 60;
const BETWEEN_MS = 250;

/** What a kernel that starts and a job that runs read of the file. */
function read({ cells, metadata }: Notebook): JSONValue {
  const joined = (text: string | string[]): string => (typeof text === 'string' ? text : text.join(''));
  return {
    cells: cells.map(cell => [cell.cell_type, joined(cell.source)]),
    studio: (metadata.studio as JSONValue | undefined) ?? null
  };
}

/**
 * Save a notebook, or wait until it is saved: where people edit it together the server writes it,
 * and a browser that saves as well is asked whose is right.
 *
 * @returns Whether the file says it; false after 15 seconds in which nobody wrote it.
 */
export async function saved(
  context: NotebookPanel['context'],
  contents: Contents.IManager
): Promise<boolean> {
  if (!context.model.collaborative) {
    await context.save();
    return true;
  }
  for (let tries = 0; tries < TRIES; tries += 1) {
    const file = await contents.get(context.path, { content: true, type: 'notebook', format: 'json' });
    const told = read(context.model.sharedModel.toJSON());
    if (JSONExt.deepEqual(read(file.content as Notebook), told)) {
      return true;
    }
    await new Promise(resolve => setTimeout(resolve, BETWEEN_MS));
  }
  return false;
}

/** What things are called. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { Job } from '@nexus-workbench/contract';

/** `Train a model: income`, from what the job was asked to do. */
export function jobTitle(
  job: Pick<Job, 'action' | 'request'>,
  trans: TranslationBundle
): string {
  const kind =
    {
      'models.train': trans.__('Train'),
      'models.tune': trans.__('Search settings'),
      'ethics.assess': trans.__('Assess'),
      'notebooks.run': trans.__('Run'),
      'tour.run': trans.__('Tour')
    }[job.action] ?? job.action;
  const { name, target, model, notebook } = job.request;
  const about = [name, target, model, notebook].find(one => typeof one === 'string' && one !== '');
  return typeof about === 'string' && !/^[a-z]{3}_/.test(about) ? `${kind}: ${about}` : kind;
}

/** What a person may do in a project, in a word. */
export function roleName(role: string, trans: TranslationBundle): string {
  return (
    {
      viewer: trans.__('viewer'),
      editor: trans.__('editor'),
      owner: trans.__('owner')
    }[role] ?? role
  );
}

/** States as the service names them, in the reader's language. */
export function stateName(state: string, trans: TranslationBundle): string {
  return (
    {
      queued: trans.__('queued'),
      running: trans.__('running'),
      done: trans.__('done'),
      failed: trans.__('failed'),
      cancelled: trans.__('stopped'),
      pass: trans.__('pass'),
      fail: trans.__('fail'),
      'too few to tell': trans.__('too few to tell'),
      refused: trans.__('refused')
    }[state] ?? state
  );
}

/** What a reference is to, in a word. */
export function referenceName(kind: string, trans: TranslationBundle): string {
  return (
    {
      product: trans.__('data product'),
      model: trans.__('model'),
      report: trans.__('report'),
      document: trans.__('graph'),
      study: trans.__('search'),
      job: trans.__('job'),
      notebook: trans.__('notebook'),
      schedule: trans.__('schedule'),
      project: trans.__('project')
    }[kind] ?? kind
  );
}

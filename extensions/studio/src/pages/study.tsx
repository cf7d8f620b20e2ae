/** A search for settings: what was best, how the search went, and every trial as a row. */

import { useEffect, type JSX } from 'react';
import type { Trial } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import { Button, Curves, ErrorNote, Loading, SameAs, Table, useLoad } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Facts, who } from './grid.tsx';
import { ProductLink, useModelName } from './named.tsx';
import { columns, progress, ranked, setting } from './study.state.ts';

export default function StudyPage({ studio, id, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/models/studies/{id}', { path: { id }, signal }),
    [client, id]
  );
  const study = loaded.data;
  const name = useModelName(studio, study?.model ?? '');
  const title = name ? trans.__('Search for %1', name) : trans.__('Search for settings');
  useEffect(() => setTitle(title), [title, setTitle]);
  if (!study) {
    return (
      <div className="nx-Body">
        {loaded.error ? (
          <ErrorNote error={loaded.error} retry={loaded.reload} />
        ) : (
          <Loading what={trans.__('the search')} retry={loaded.reload} />
        )}
      </div>
    );
  }
  const settings = columns(study);
  const went = progress(study.trials);
  const trials = ranked(study.trials);
  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <h1 className={css.title}>{title}</h1>
        <p className={css.lead}>{study.explained}</p>
        <div className={css.row}>
          <Button kind="primary" onClick={() => studio.open('model', study.model)}>
            {trans.__('Open the model')}
          </Button>
        </div>
      </header>
      <section className={css.section}>
        <h2>{trans.__('How it went')}</h2>
        <div className={css.grid}>
          <Curves
            label={trans.__('loss of each, and the least so far')}
            xLabel={trans.__('tried')}
            series={[
              { name: trans.__('loss'), points: went.loss },
              { name: trans.__('least so far'), points: went.least, dashed: true }
            ]}
          />
        </div>
      </section>
      <section className={css.section}>
        <h2>{trans.__('What was tried')}</h2>
        <Table
          caption={trans.__('Trials, the best first')}
          rowHeadings
          keys={trials.map(trial => String(trial.number))}
          head={[
            { text: trans.__('Trial'), number: true },
            trans.__('Outcome'),
            ...study.objectives.map(text => ({ text, number: true })),
            ...settings.map(name => ({
              text: name.replaceAll('_', ' '),
              number: true,
              title: trans.__('searched from %1 to %2', ...study.searched[name]!.map(setting))
            })),
            { text: trans.__('Seconds'), number: true }
          ]}
          rows={trials.map(trial => [
            trial.number,
            outcome(studio, trial, study.best, study.front, study.objectives.length),
            ...study.objectives.map((_, place) =>
              trial.values[place] === undefined
                ? ''
                : place === 0
                  ? trial.values[place].toFixed(4)
                  : setting(trial.values[place])
            ),
            ...settings.map(name => setting(trial.settings[name])),
            trial.elapsed_s.toFixed(1)
          ])}
        />
      </section>
      <section className={css.section}>
        <h2>{trans.__('How it was made')}</h2>
        <Facts
          items={[
            [trans.__('Learned from'), <ProductLink studio={studio} to={study.product} />],
            [trans.__('Target'), study.target],
            [trans.__('Estimator'), study.estimator],
            [trans.__('Seed'), study.seed],
            [trans.__('Took'), trans.__('%1 s', Math.round(study.elapsed_s))],
            [trans.__('Made'), trans.__('%1, %2', who(study.made_by), new Date(study.made_at).toLocaleString())]
          ]}
        />
      </section>
      <SameAs code={`wb.models.get_study(${JSON.stringify(study.id)})`} />
    </div>
  );
}

function outcome(
  { trans }: StudioContext,
  trial: Trial,
  best: number,
  front: readonly number[],
  objectives: number
): string {
  if (trial.state === 'done') {
    return trial.number === best
      ? trans.__('the best')
      : objectives > 1 && front.includes(trial.number)
        ? trans.__('no other is better in everything')
        : '';
  }
  return trial.state === 'stopped'
    ? trans.__('stopped: %1', trial.why)
    : trans.__('failed: %1', trial.why);
}

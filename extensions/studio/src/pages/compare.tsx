/** Models side by side on the same rows. */

import { useEffect, useState, type JSX } from 'react';
import type { Comparison, Model } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import {
  Button,
  Empty,
  ErrorNote,
  Loading,
  SameAs,
  Table,
  useLoad,
  Whiskers
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { alike, asked, choose, decided, ref, whiskers } from './compare.state.ts';
import {
  bare,
  best,
  headline,
  lessIsBetter,
  metricName,
  showFigure,
  showNumber,
  versionOf
} from './model.state.ts';

export default function Compare({ studio, id, options, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const [chosen, setChosen] = useState(() => asked(options, id));
  const listed = useLoad(
    signal => client.get('/api/v1/models/models', { query: { limit: 200 }, signal }),
    [client]
  );
  const key = chosen.join(',');
  const compared = useLoad(
    async signal =>
      chosen.length < 2
        ? null
        : client.post('/api/v1/models:compare', { models: chosen }, { signal }),
    [client, key]
  );
  useEffect(() => setTitle(trans.__('Compare models')), [setTitle, trans]);
  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <h1 className={css.title}>{trans.__('Compare models')}</h1>
        <p className={css.lead}>
          {trans.__('Figures compare only where they were measured on the same rows.')}
        </p>
      </header>
      {listed.error && <ErrorNote error={listed.error} retry={listed.reload} />}
      {!listed.data && listed.loading && <Loading what={trans.__('models')} />}
      {listed.data && (
        <Chooser
          studio={studio}
          models={listed.data.items}
          chosen={chosen}
          onChange={setChosen}
        />
      )}
      {compared.error && <ErrorNote error={compared.error} retry={compared.reload} />}
      {chosen.length >= 2 && compared.loading && <Loading what={trans.__('the comparison')} />}
      {compared.data && <Figures studio={studio} comparison={compared.data} />}
      {chosen.length >= 2 && <SameAs code={`wb.models.compare(${JSON.stringify(chosen)})`} />}
    </div>
  );
}

function Chooser(props: {
  studio: StudioContext;
  models: Model[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}): JSX.Element {
  const { studio, models, chosen } = props;
  const { trans, client } = studio;
  const products = useLoad(
    signal => client.get('/api/v1/data/products', { query: { limit: 200 }, signal }),
    [client]
  );
  if (models.length < 2) {
    return (
      <Empty
        text={trans.__('A comparison needs two models; this project has %1.', models.length)}
      />
    );
  }
  const fit = alike(models, chosen);
  const named = (of: string): string => {
    const product = products.data?.items.find(each => each.id === bare(of));
    return product ? trans.__('%1 version %2', product.name, versionOf(of) ?? '') : of;
  };
  return (
    <section className={css.section}>
      <h2>{trans.__('Which models?')}</h2>
      <Table
        caption={trans.__('Models to compare')}
        head={[
          '',
          trans.__('Model'),
          trans.__('Estimator'),
          trans.__('Target'),
          trans.__('Product'),
          trans.__('Made'),
          ''
        ]}
        keys={models.map(ref)}
        rows={models.map(model => [
          <input
            key="choose"
            type="checkbox"
            aria-label={trans.__('Compare %1', model.name)}
            checked={chosen.includes(ref(model))}
            disabled={!chosen.includes(ref(model)) && !fit.has(ref(model))}
            title={fit.has(ref(model)) ? '' : trans.__('It predicts something else, or classes where this predicts numbers.')}
            onChange={event =>
              props.onChange(choose(chosen, ref(model), event.target.checked))
            }
          />,
          trans.__('%1 version %2', model.name, model.version),
          model.estimator,
          model.target,
          named(model.product),
          new Date(model.made_at).toLocaleString(),
          <Button
            key="open"
            kind="link"
            aria-label={trans.__('Open %1', model.name)}
            onClick={() => studio.open('model', ref(model))}
          >
            {trans.__('Open')}
          </Button>
        ])}
      />
      {chosen.length < 2 && (
        <p role="status">
          {chosen.length === 0
            ? trans.__('Choose two models or more.')
            : trans.__('Choose one more.')}
        </p>
      )}
    </section>
  );
}

function Figures(props: { studio: StudioContext; comparison: Comparison }): JSX.Element {
  const { comparison } = props;
  const { trans } = props.studio;
  const metrics = Object.keys(comparison.metrics);
  return (
    <section className={css.section}>
      <h2>{trans.__('Side by side')}</h2>
      {!comparison.same_rows && (
        <div className={css.note} role="alert">
          <p>
            <strong>{trans.__('⚠ They were not measured on the same rows.')}</strong>{' '}
            {trans.__('The figures stand beside each other, but their difference means nothing.')}
          </p>
        </div>
      )}
      <p>{comparison.explained}</p>
      <div className={css.grid}>
        {headline(metrics).map(metric => (
          <div key={metric}>
            <h3>{title(props.studio, metric)}</h3>
            <Whiskers
              label={metricName(metric)}
              rows={whiskers(comparison, metric).map(({ name, figure }) => ({ name, ...figure }))}
            />
          </div>
        ))}
      </div>
      <Table
        caption={trans.__('All figures with their 95 % intervals')}
        showCaption
        rowHeadings
        head={[
          trans.__('Figure'),
          ...comparison.names.map(name => ({ text: name, number: true }))
        ]}
        rows={metrics.map(metric => {
          const figures = comparison.metrics[metric] ?? [];
          const top = comparison.same_rows ? best(metric, figures) : null;
          return [
            title(props.studio, metric),
            ...figures.map((figure, at) =>
              at === top ? (
                <strong key={at} title={trans.__('the best')}>
                  {showFigure(metric, figure)}
                </strong>
              ) : (
                showFigure(metric, figure)
              )
            )
          ];
        })}
      />
      {comparison.same_rows && Object.keys(comparison.paired).length > 0 && (
        <Table
          caption={trans.__(
            'Difference to %1, row by row: an interval without zero is not chance',
            comparison.names[0] ?? ''
          )}
          showCaption
          rowHeadings
          head={[
            trans.__('Figure'),
            ...comparison.names.slice(1).map(name => ({ text: name, number: true }))
          ]}
          rows={Object.entries(comparison.paired).map(([metric, figures]) => [
            title(props.studio, metric),
            ...figures.slice(1).map((figure, at) =>
              figure ? (
                <span key={at}>
                  {`${signed(metric, figure.value)} (${signed(metric, figure.low)} – ${signed(metric, figure.high)})`}
                  {decided(figure)
                    ? figure.value > 0 === lessIsBetter(metric)
                      ? ` ▼ ${trans.__('worse')}`
                      : ` ▲ ${trans.__('better')}`
                    : ` · ${trans.__('may be chance')}`}
                </span>
              ) : (
                '–'
              )
            )
          ])}
        />
      )}
    </section>
  );
}

function title(studio: StudioContext, metric: string): string {
  return lessIsBetter(metric)
    ? studio.trans.__('%1 (less is better)', metricName(metric))
    : metricName(metric);
}

function signed(metric: string, value: number): string {
  return (value > 0 ? '+' : '') + showNumber(metric, value);
}

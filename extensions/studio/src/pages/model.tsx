/** A model: was it worth it, what it says, what made it, and what it needs before release. */

import { useEffect, type JSX } from 'react';
import type { Model } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import {
  Badge,
  Button,
  ErrorNote,
  Loading,
  SameAs,
  Table,
  useLoad,
  Whiskers
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Facts, who } from './grid.tsx';
import { Fairness } from './model-fairness.tsx';
import { Release } from './model-release.tsx';
import { TryRow } from './model-try.tsx';
import {
  best,
  competitors,
  headline,
  lessIsBetter,
  metricName,
  metricsOf,
  short,
  showFigure,
  type Competitor
} from './model.state.ts';
import { ProductLink } from './named.tsx';
import { Network } from './network.tsx';
import { setting } from './study.state.ts';

export default function ModelPage({ studio, id, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/models/models/{id}', { path: { id }, signal }),
    [client, id]
  );
  const model = loaded.data;
  useEffect(() => {
    if (model) {
      setTitle(model.name);
    }
  }, [model, setTitle]);
  if (!model) {
    return (
      <div className="nx-Body">
        {loaded.error ? (
          <ErrorNote error={loaded.error} retry={loaded.reload} />
        ) : (
          <Loading what={trans.__('the model')} retry={loaded.reload} />
        )}
      </div>
    );
  }
  const ref = `${model.id}@${model.version}`;
  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <div className={css.row}>
          <h1 className={css.title}>{model.name}</h1>
          {model.aliases.map(alias => (
            <Badge key={alias} state={alias} />
          ))}
        </div>
        <p className={css.quiet}>
          {trans.__(
            'Version %1: %2 for %3, by %4 on %5',
            model.version,
            model.estimator,
            model.target,
            who(model.made_by),
            new Date(model.made_at).toLocaleString()
          )}
        </p>
        <p className="nx-Verdict">{model.verdict}</p>
        <div className={css.row}>
          <Button onClick={() => studio.open('product', model.product)}>
            {trans.__('Open the product')}
          </Button>
          <Button onClick={() => studio.open('compare', ref)}>
            {trans.__('Compare with others')}
          </Button>
          {studio.role() !== 'viewer' && (
            <Button onClick={() => studio.open('train', model.product, { target: model.target })}>
              {trans.__('Train another')}
            </Button>
          )}
        </div>
      </header>
      <Figures studio={studio} model={model} />
      <TryRow studio={studio} model={model} />
      <Fairness studio={studio} model={model} />
      <Release studio={studio} model={model} onPromoted={loaded.reload} />
      <Made studio={studio} model={model} />
      <SameAs
        code={`model = wb.models.get_model(${JSON.stringify(ref)})\nmodel.verdict, model.metrics`}
      />
    </div>
  );
}

interface PartProps {
  studio: StudioContext;
  model: Model;
}

function Figures({ studio, model }: PartProps): JSX.Element {
  const { trans } = studio;
  const rows = competitors(model);
  const metrics = metricsOf(rows);
  const first = metrics[0];
  const name = (row: Competitor): string =>
    row.own ? trans.__('%1 (this model)', row.name) : row.name;
  if (first === undefined) {
    return (
      <section className={css.section}>
        <h2>{trans.__('How good it is')}</h2>
        <p>{trans.__('It was not measured: it came without rows to measure it on.')}</p>
      </section>
    );
  }
  return (
    <section className={css.section}>
      <h2>{trans.__('How good it is')}</h2>
      <p className={css.quiet}>
        {model.split
          ? trans.__(
              'Measured on %1 rows that nothing was trained on; intervals hold 95 % of the bootstrap.',
              model.split.test.toLocaleString()
            )
          : trans.__('Intervals hold 95 % of the bootstrap.')}
      </p>
      <div className={css.grid}>
        {headline(metrics).map(metric => (
          <div key={metric}>
            <h3>
              {metricName(metric)}
              {lessIsBetter(metric) && (
                <span className={css.quiet}> {trans.__('(less is better)')}</span>
              )}
            </h3>
            <Whiskers
              label={metricName(metric)}
              rows={rows.flatMap(row => {
                const figure = row.metrics[metric];
                return figure
                  ? [{ name: name(row), ...figure, kind: row.own ? ('good' as const) : ('plain' as const) }]
                  : [];
              })}
            />
          </div>
        ))}
      </div>
      <Table
        caption={trans.__('All figures with their 95 % intervals')}
        showCaption
        rowHeadings
        head={[trans.__('Figure'), ...rows.map(row => ({ text: name(row), number: true }))]}
        rows={metrics.map(metric => {
          const figures = rows.map(row => row.metrics[metric]);
          const top = best(metric, figures);
          return [
            lessIsBetter(metric)
              ? trans.__('%1 (less is better)', metricName(metric))
              : metricName(metric),
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
    </section>
  );
}

function Made({ studio, model }: PartProps): JSX.Element {
  const { trans } = studio;
  const environment = Object.entries(model.environment);
  const settings = Object.entries(model.settings)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${setting(value)}`)
    .join(', ');
  return (
    <section className={css.section}>
      <h2>{trans.__('What made it')}</h2>
      <Facts
        items={[
          [
            trans.__('Product'),
            <ProductLink key="product" studio={studio} to={model.product} />
          ],
          [
            trans.__('Its digest'),
            <code key="digest" title={model.product_digest}>
              {short(model.product_digest)}
            </code>
          ],
          [trans.__('Split'), model.split?.explained ?? trans.__('none')],
          [trans.__('Seed'), model.seed],
          [trans.__('Inputs'), trans.__('%1 columns', model.inputs.length)],
          [trans.__('Parameters'), model.parameters.toLocaleString()],
          [trans.__('Epochs'), model.epochs],
          ...(settings ? [[trans.__('Settings'), settings] as const] : []),
          ...(model.study
            ? [
                [
                  trans.__('Found by'),
                  <Button key="study" kind="link" onClick={() => studio.open('study', model.study)}>
                    {trans.__('a search')}
                  </Button>
                ] as const
              ]
            : []),
          [trans.__('Time'), trans.__('%1 s', model.elapsed_s.toFixed(1))],
          [trans.__('Code'), <code key="code">{model.code}</code>],
          [trans.__('MLflow run'), <code key="run">{model.run}</code>],
          [trans.__('Registered as'), <code key="registered">{model.registered}</code>],
          [
            trans.__('Weights'),
            <code key="weights" title={model.digest}>
              {short(model.digest)}
            </code>
          ],
          [
            trans.__('Packages'),
            environment.map(([name, version]) => `${name} ${version}`).join(', ')
          ],
          [
            trans.__('The project’s own packages'),
            model.installed ? (
              <span key="installed" title={model.installed.digest}>
                {trans.__(
                  '%1, Python %2, %3: what its notebooks had',
                  model.installed.environment,
                  model.installed.python,
                  short(model.installed.digest)
                )}
              </span>
            ) : (
              trans.__('none: its notebooks had the Studio’s')
            )
          ]
        ]}
      />
      {model.graph && (
        <Network
          graph={model.graph}
          ends={[trans.__('%1 columns', model.inputs.length), model.target]}
        />
      )}
    </section>
  );
}

/** Whom a model treats how: its reports, and the form that asks for one. */

import { useEffect, useState, type JSX } from 'react';
import type { Model } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import {
  Badge,
  Button,
  Empty,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Table,
  useLoad
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Checks } from './checks.tsx';
import { dividing, reportsOf } from './model.state.ts';
import { mark } from './report.state.ts';

interface PartProps {
  studio: StudioContext;
  model: Model;
}

export function Fairness({ studio, model }: PartProps): JSX.Element {
  const { trans, client } = studio;
  const loaded = useLoad(
    signal => client.get('/api/v1/ethics/reports', { query: { model: model.id, limit: 200 }, signal }),
    [client, model.id]
  );
  const { reload } = loaded;
  useEffect(() => {
    const heard = (_: unknown, event: { action: string }): void => {
      if (event.action.startsWith('ethics.')) {
        reload();
      }
    };
    studio.changed.connect(heard);
    return () => void studio.changed.disconnect(heard);
  }, [reload, studio.changed]);
  const { own, others } = reportsOf(model, loaded.data?.items ?? []);
  return (
    <section className={css.section}>
      <h2>{trans.__('Fairness')}</h2>
      {loaded.error && <ErrorNote error={loaded.error} retry={loaded.reload} />}
      {!loaded.data && loaded.loading && <Loading what={trans.__('reports')} retry={reload} />}
      {loaded.data && own.length === 0 && (
        <Empty
          text={
            others.length
              ? trans.__('This version has no report yet; others of this model have.')
              : trans.__('This model has no report yet: assess it to see whom it treats how.')
          }
        />
      )}
      {[...own, ...others].length > 0 && (
        <Table
          caption={trans.__('Fairness reports')}
          head={[
            trans.__('Verdict'),
            trans.__('In words'),
            trans.__('Version'),
            trans.__('Made'),
            ''
          ]}
          rows={[...own, ...others].map(report => [
            <Badge
              key="verdict"
              state={report.verdict}
              text={`${mark(report.verdict)} ${report.verdict}`}
            />,
            report.summary,
            report.model.split('@')[1] ?? '',
            new Date(report.made_at).toLocaleString(),
            <Button
              key="open"
              kind="link"
              aria-label={trans.__('Open the report “%1”', report.name)}
              onClick={() => studio.open('report', report.id)}
            >
              {trans.__('Open')}
            </Button>
          ])}
        />
      )}
      {studio.role() !== 'viewer' && (
        <Assess studio={studio} model={model} />
      )}
    </section>
  );
}

function Assess({ studio, model }: PartProps): JSX.Element {
  const { trans, client } = studio;
  const product = useLoad(
    signal => client.get('/api/v1/data/products/{id}', { path: { id: model.product }, signal }),
    [client, model.product]
  );
  const columns = product.data?.columns.filter(column => column.name !== model.target) ?? [];
  const [chosen, setChosen] = useState<string[] | null>(null);
  const [limit, setLimit] = useState('0.1');
  const [favourable, setFavourable] = useState(model.positive || (model.classes.at(-1) ?? ''));
  const [threshold, setThreshold] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const sensitive =
    chosen ?? columns.filter(column => column.sensitive).map(column => column.name);
  const share = Number(limit);
  const wrong = limit.trim() === '' || !(share >= 0 && share <= 1);
  const least = threshold.trim() === '' ? null : Number(threshold);
  const odd = least !== null && !Number.isFinite(least);
  const decision = model.task === 'classification' ? { favourable } : { threshold: least };
  const ref = `${model.id}@${model.version}`;
  const assess = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const job = await client.post('/api/v1/ethics:assess', {
        model: ref,
        sensitive,
        limit: share,
        ...decision
      });
      studio.open('job', job.id);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  if (!product.data) {
    return product.error ? (
      <ErrorNote error={product.error} retry={product.reload} />
    ) : (
      <Loading what={trans.__('the columns')} retry={product.reload} />
    );
  }
  return (
    <form
      className={css.card}
      onSubmit={event => {
        event.preventDefault();
        void assess();
      }}
    >
      <h3>{trans.__('Assess')}</h3>
      <Checks
        legend={trans.__('Compare people by')}
        choices={dividing(columns).map(name => ({
          name,
          note: columns.find(column => column.name === name)?.sensitive
            ? trans.__('sensitive')
            : undefined
        }))}
        chosen={sensitive}
        onChange={(name, on) =>
          setChosen(on ? [...sensitive, name] : sensitive.filter(each => each !== name))
        }
      />
      {model.task === 'classification' ? (
        <Field
          label={trans.__('Favourable answer')}
          hint={trans.__('The class of %1 that is good for the person.', model.target)}
        >
          <select value={favourable} onChange={event => setFavourable(event.target.value)}>
            {model.classes.map(each => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
      ) : (
        <Field
          label={trans.__('Favourable from')}
          hint={trans.__('A predicted %1 of at least this; empty: the median.', model.target)}
          error={odd ? trans.__('This is no number.') : null}
        >
          <input
            inputMode="decimal"
            value={threshold}
            onChange={event => setThreshold(event.target.value)}
          />
        </Field>
      )}
      <Field
        label={trans.__('Largest gap allowed')}
        hint={trans.__('Between the groups’ shares of that decision; 0.1 is ten points.')}
        error={wrong ? trans.__('A number from 0 to 1.') : null}
      >
        <input
          type="number"
          min={0}
          max={1}
          step={0.01}
          value={limit}
          onChange={event => setLimit(event.target.value)}
        />
      </Field>
      {error !== null && <ErrorNote error={error} />}
      <div className={css.row}>
        <Button kind="primary" type="submit" disabled={busy || wrong || odd || sensitive.length === 0}>
          {busy ? trans.__('Starting …') : trans.__('Assess')}
        </Button>
        {sensitive.length === 0 && <span>{trans.__('Choose at least one column.')}</span>}
      </div>
      <SameAs
        code={`wb.ethics.assess(${JSON.stringify(ref)}, sensitive=${JSON.stringify(sensitive)}, limit=${limit}${favourable ? `, favourable=${JSON.stringify(favourable)}` : ''})`}
      />
    </form>
  );
}

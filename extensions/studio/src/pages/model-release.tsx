/** What a model needs before release: fairness reports, the gate's answer, a file to take away. */

import { useEffect, useState, type JSX } from 'react';
import { StudioError, type Gate, type Model } from '@nexus-workbench/contract';
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
import { who } from './grid.tsx';
import { ALIASES, dividing, exportsOf, reportsOf } from './model.state.ts';
import { save } from './product.tsx';
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

export function Release({
  studio,
  model,
  onPromoted
}: PartProps & { onPromoted: () => void }): JSX.Element {
  const { trans, client } = studio;
  const [alias, setAlias] = useState<string>(ALIASES[0]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const ref = `${model.id}@${model.version}`;
  const gate = useLoad(
    signal => client.post('/api/v1/ethics:gate', { model: ref, alias }, { signal }),
    [client, ref, alias]
  );
  const { reload } = gate;
  useEffect(() => {
    const heard = (_: unknown, event: { action: string }): void => {
      if (event.action.startsWith('ethics.')) {
        reload();
      }
    };
    studio.changed.connect(heard);
    return () => void studio.changed.disconnect(heard);
  }, [reload, studio.changed]);
  const promote = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await client.post('/api/v1/models:promote', { model: ref, alias });
      studio.notify(trans.__('%1 is now %2.', model.name, alias));
      onPromoted();
    } catch (problem) {
      setError(problem);
      if (problem instanceof StudioError) {
        reload();
      }
    } finally {
      setBusy(false);
    }
  };
  const held = model.aliases.includes(alias);
  return (
    <section className={css.section}>
      <h2>{trans.__('Release')}</h2>
      {studio.role() !== 'viewer' && (
        <>
          <div className={`${css.row} nx-mod-end`}>
            <Field label={trans.__('Promote to')}>
              <select
                value={alias}
                onChange={event => {
                  setAlias(event.target.value);
                  setError(null);
                }}
              >
                {ALIASES.map(each => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </Field>
            <Button
              kind="primary"
              disabled={busy || held || gate.data?.allowed === false}
              onClick={() => void promote()}
            >
              {held
                ? trans.__('It is %1', alias)
                : busy
                  ? trans.__('Promoting …')
                  : trans.__('Promote to %1', alias)}
            </Button>
          </div>
          {gate.loading && !gate.data && <Loading what={trans.__('the gate’s answer')} />}
          {gate.error && <ErrorNote error={gate.error} retry={reload} />}
          {gate.data && <Answer studio={studio} gate={gate.data} />}
          {error !== null && <ErrorNote error={error} />}
          <SameAs code={`wb.models.promote(${JSON.stringify(ref)}, alias="${alias}")`} />
        </>
      )}
      <Export studio={studio} model={model} />
      <Versions studio={studio} model={model} />
    </section>
  );
}

function Answer({ studio, gate }: { studio: StudioContext; gate: Gate }): JSX.Element {
  const { trans } = studio;
  const { report } = gate;
  return (
    <div className={css.note} role="status">
      <p>
        <Badge
          state={gate.allowed ? 'allowed' : 'refused'}
          text={gate.allowed ? `✓ ${trans.__('The gate is open')}` : `✕ ${trans.__('Not yet')}`}
        />{' '}
        {gate.rule}
      </p>
      {gate.reasons.length > 0 && (
        <ul>
          {gate.reasons.map(reason => (
            <li key={reason}>{reason}</li>
          ))}
        </ul>
      )}
      {report && (
        <Button kind="link" onClick={() => studio.open('report', report)}>
          {trans.__('Open the report')}
        </Button>
      )}
    </div>
  );
}

function Export({ studio, model }: PartProps): JSX.Element {
  const { trans, client } = studio;
  const formats = exportsOf(model.estimator);
  const [at, setAt] = useState(0);
  const format = formats[at];
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const ref = `${model.id}@${model.version}`;
  if (!format) {
    return (
      <p className={css.quiet}>
        {trans.__('There is nothing to export: it always gives the same answer.')}
      </p>
    );
  }
  const write = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const blob = await client.post('/api/v1/models:export', { id: ref, format });
      save(client.href(blob), blob.name);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <div className={`${css.row} nx-mod-end`}>
        <Field label={trans.__('Export as')}>
          <select value={at} onChange={event => setAt(Number(event.target.value))}>
            {formats.map((each, index) => (
              <option key={each} value={index}>
                {each}
              </option>
            ))}
          </select>
        </Field>
        <Button disabled={busy} onClick={() => void write()}>
          {busy ? trans.__('Writing …') : trans.__('Export')}
        </Button>
      </div>
      {error !== null && <ErrorNote error={error} />}
    </>
  );
}

/** Models of the same name in this project: one of them holds an alias at a time. */
function Versions({ studio, model }: PartProps): JSX.Element | null {
  const { trans, client } = studio;
  const ref = `${model.id}@${model.version}`;
  const earlier = [...Array(model.version).keys()].slice(-20).reverse();
  const loaded = useLoad(
    signal =>
      Promise.all(
        earlier.map(version =>
          client.get('/api/v1/models/models/{id}', {
            path: { id: `${model.id}@${version}` },
            signal
          })
        )
      ),
    [client, ref]
  );
  if (earlier.length === 0) {
    return <p className={css.quiet}>{trans.__('This is its first version.')}</p>;
  }
  if (!loaded.data) {
    return loaded.error ? (
      <ErrorNote error={loaded.error} retry={loaded.reload} />
    ) : (
      <Loading what={trans.__('earlier versions')} />
    );
  }
  return (
    <Table
      caption={trans.__('Versions')}
      showCaption
      head={[
        { text: trans.__('Version'), number: true },
        trans.__('Made'),
        trans.__('By'),
        trans.__('Aliases'),
        ''
      ]}
      rows={[model, ...loaded.data].map(each => [
        each.version,
        new Date(each.made_at).toLocaleString(),
        who(each.made_by),
        each.aliases.join(', '),
        each.version === model.version ? (
          trans.__('shown')
        ) : (
          <Button
            key="open"
            kind="link"
            aria-label={trans.__('Open version %1', each.version)}
            onClick={() => studio.open('model', `${each.id}@${each.version}`)}
          >
            {trans.__('Open')}
          </Button>
        )
      ])}
    />
  );
}

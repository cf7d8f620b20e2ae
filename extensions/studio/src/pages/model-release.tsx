/** What a model needs before release: the gate's answer; a file to take away; its versions. */

import { useEffect, useState, type JSX } from 'react';
import { StudioError, type Gate, type Model } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import {
  Badge,
  Button,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Table,
  useLoad
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { who } from './grid.tsx';
import { ALIASES, exportsOf, isRelease } from './model.state.ts';
import { save } from './product.tsx';

interface PartProps {
  studio: StudioContext;
  model: Model;
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
            {(held || !isRelease(alias)) && (
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
            )}
          </div>
          {!held && isRelease(alias) && (
            <p>
              {trans.__('A person releases a model, and confirms who they are.')}{' '}
              <a
                href={`${studio.pages}projects/${studio.project()?.id ?? ''}/models/${ref}?alias=${alias}#release`}
                target="_blank"
                rel="noopener"
              >
                {trans.__('Release it on the Studio’s own page')}
              </a>
            </p>
          )}
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

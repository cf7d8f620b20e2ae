/** Begin a graph that several people draw together. */

import { useEffect, useId, useState, type JSX } from 'react';
import type { PageProps } from '../context.ts';
import { Button, Empty, ErrorNote, Field, Loading, SameAs, useLoad } from '../parts/index.ts';
import { sameAs } from '../same.ts';
import { css } from '../tokens.ts';
import { guessTarget } from './train.state.ts';

/** The choice that is no template: as the Studio would suggest for a table. */
const SIZED = 'sized';

export default function NewGraph({ studio, options, setTitle }: PageProps): JSX.Element {
  const { client, trans } = studio;
  useEffect(() => setTitle(trans.__('New graph')), [setTitle, trans]);
  const loaded = useLoad(
    async signal => {
      const [templates, products] = await Promise.all([
        client.get('/api/v1/documents/templates', { signal }),
        client.get('/api/v1/data/products', { query: { limit: 200 }, signal })
      ]);
      return { templates: templates.items, products: products.items };
    },
    [client]
  );
  const group = useId();
  const [name, setName] = useState('');
  const [product, setProduct] = useState(options.product ?? '');
  const [target, setTarget] = useState('');
  const [choice, setChoice] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  if (studio.role() === 'viewer') {
    return <Empty text={trans.__('You may look at this project, not draw in it: ask its owner.')} />;
  }
  if (!loaded.data) {
    return loaded.error ? (
      <ErrorNote error={loaded.error} retry={loaded.reload} />
    ) : (
      <Loading retry={loaded.reload} />
    );
  }
  const { templates, products } = loaded.data;
  const table = products.find(one => one.id === product) ?? null;
  const column = table ? guessTarget(table.columns, null, target) : '';
  const begin = choice || (table ? SIZED : 'empty');
  const called = name.trim();

  const create = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const ends = table
        ? await client.post('/api/v1/models:measure_ends', {
            product: table.id,
            target: column,
            exclude: table.columns
              .filter(each => each.sensitive && each.name !== column)
              .map(each => each.name)
          })
        : null;
      const sized =
        begin === SIZED && table
          ? await client.post('/api/v1/models:suggest_graph', { product: table.id, target: column })
          : null;
      const found = templates.find(one => one.name === begin);
      const graph = sized ?? found?.graph ?? null;
      const made = await client.post('/api/v1/documents/documents', {
        name: called,
        template: '',
        graph: graph && {
          ...graph,
          data: ends
            ? {
                product: table!.name,
                target: column,
                features: ends.features,
                outputs: ends.outputs
              }
            : {}
        }
      });
      studio.open('graph', made.id);
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };

  const choices: [value: string, title: string, meaning: string][] = [
    ...(table
      ? [
          [
            SIZED,
            trans.__('Sized to the table'),
            trans.__('A plain network whose size follows the rows and columns of %1.', table.name)
          ] as [string, string, string]
        ]
      : []),
    ...templates.map((one): [string, string, string] => [one.name, one.title, one.meaning])
  ];

  return (
    <form
      className="nx-Body"
      onSubmit={event => {
        event.preventDefault();
        if (called) {
          void create();
        }
      }}
    >
      <header className="nx-Top">
        <h1 className={css.title}>{trans.__('Draw a network')}</h1>
        <p className={css.lead}>
          {trans.__(
            'Everybody of the project who opens it draws in the same graph, and sees the shape of every layer at once. Nobody needs to save.'
          )}
        </p>
      </header>
      <div className={css.grid}>
        <Field label={trans.__('Name')}>
          <input
            value={name}
            maxLength={120}
            autoFocus
            placeholder={table ? `${table.name} ${column}` : trans.__('credit risk')}
            onChange={event => setName(event.target.value)}
          />
        </Field>
        <Field
          label={trans.__('For the data product')}
          hint={trans.__('May be chosen later, too.')}
        >
          <select
            value={product}
            onChange={event => {
              setProduct(event.target.value);
              setTarget('');
            }}
          >
            <option value="">{trans.__('none yet')}</option>
            {products.map(one => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </select>
        </Field>
        {table && (
          <Field label={trans.__('It predicts')}>
            <select value={column} onChange={event => setTarget(event.target.value)}>
              {table.columns.map(each => (
                <option key={each.name} value={each.name}>
                  {trans.__('%1 (%2)', each.name, each.kind)}
                </option>
              ))}
            </select>
          </Field>
        )}
      </div>
      <fieldset className="nx-Choices">
        <legend>{trans.__('Begin with')}</legend>
        {choices.map(([value, title, meaning]) => (
          <label key={value} className={css.card}>
            <input
              type="radio"
              name={group}
              value={value}
              checked={begin === value}
              onChange={() => setChoice(value)}
            />
            <strong>{title}</strong>
            <span className={css.quiet}>{meaning}</span>
          </label>
        ))}
      </fieldset>
      {error !== null && <ErrorNote error={error} />}
      <div className={css.row}>
        <Button kind="primary" type="submit" disabled={!called || busy}>
          {busy ? trans.__('Making it …') : trans.__('Draw')}
        </Button>
      </div>
      {begin !== SIZED && (
        <SameAs
          code={sameAs('documents.create_document', { name: called || 'credit', template: begin })}
        />
      )}
    </form>
  );
}

/** Questions to the project's products in SQL. */

import { useRef, useState, type JSX } from 'react';
import type { Preview, Product } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import { Button, ErrorNote, Field, SameAs } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Grid } from './grid.tsx';
import { firstQuery } from './product.state.ts';

export function QueryTab({
  studio,
  product
}: {
  studio: StudioContext;
  product: Product;
}): JSX.Element {
  const { trans, client } = studio;
  const [sql, setSql] = useState(() => firstQuery(product));
  const [asked, setAsked] = useState('');
  const [answer, setAnswer] = useState<Preview | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const running = useRef<AbortController | null>(null);
  const run = async (): Promise<void> => {
    if (!sql.trim()) {
      return;
    }
    running.current?.abort();
    const stop = new AbortController();
    running.current = stop;
    setBusy(true);
    setError(null);
    setAsked(sql);
    try {
      const got = await client.post('/api/v1/data:query', { sql }, { signal: stop.signal });
      if (!stop.signal.aborted) {
        setAnswer(got);
        setBusy(false);
      }
    } catch (problem) {
      if (!stop.signal.aborted) {
        setError(problem);
        setBusy(false);
      }
    }
  };
  return (
    <section className={css.section}>
      <Field
        label={trans.__('SQL')}
        hint={trans.__(
          'DuckDB, read only. Products are tables by name; "%1@0" is a version. Ctrl+Enter runs it.',
          product.name
        )}
      >
        <textarea
          className={css.mono}
          rows={6}
          spellCheck={false}
          value={sql}
          onChange={event => setSql(event.target.value)}
          onKeyDown={event => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              event.stopPropagation();
              void run();
            }
          }}
        />
      </Field>
      <div className={css.row}>
        <Button kind="primary" disabled={!sql.trim()} onClick={() => void run()}>
          {trans.__('Run')}
        </Button>
        {busy && (
          <Button
            onClick={() => {
              running.current?.abort();
              setBusy(false);
            }}
          >
            {trans.__('Stop waiting')}
          </Button>
        )}
        <span role="status">
          {busy
            ? trans.__('Running …')
            : answer && error === null
              ? answer.truncated
                ? trans.__(
                    'The first %1 rows, in %2 s',
                    answer.rows.length.toLocaleString(),
                    answer.elapsed_s.toFixed(2)
                  )
                : trans.__(
                    '%1 rows, in %2 s',
                    answer.rows.length.toLocaleString(),
                    answer.elapsed_s.toFixed(2)
                  )
              : ''}
        </span>
      </div>
      {error !== null && <ErrorNote error={error} />}
      {answer && error === null && (
        <Grid
          caption={trans.__('Result of the query')}
          columns={answer.columns}
          rows={answer.rows}
          first={1}
        />
      )}
      {asked && <SameAs code={`wb.data.query("""${asked.replaceAll('"""', '\\"""')}""")`} />}
    </section>
  );
}

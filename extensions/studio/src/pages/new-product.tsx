/** A table becomes a product: choose it, look at the first rows, answer the questions, register. */

import { useCallback, useEffect, useRef, useState, type DragEvent, type JSX } from 'react';
import type { Guess } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import { dropFile, keptFile } from '../files.ts';
import {
  Button,
  Empty,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Sending,
  bytes
} from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Checks } from './checks.tsx';
import { Grid } from './grid.tsx';
import {
  ACCEPT,
  guessOf,
  known,
  mark,
  missing,
  query,
  registration,
  suggested,
  type Answers,
  type Origin
} from './new-product.state.ts';

type Stage =
  | { at: 'choosing' }
  | { at: 'sending'; file: File; sent: number }
  | { at: 'looking'; name: string }
  | { at: 'asking'; origin: Origin; source: string; guess: Guess };

export default function NewProduct({ studio, options, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const [stage, setStage] = useState<Stage>({ at: 'choosing' });
  const [error, setError] = useState<unknown>(null);
  const [typed, setTyped] = useState('');
  const running = useRef<AbortController | null>(null);

  const { client } = studio;
  /** Whatever was under way stops; what begins now can be stopped. */
  const look = useCallback(
    async (work: (signal: AbortSignal) => Promise<Stage>) => {
      running.current?.abort();
      const stop = new AbortController();
      running.current = stop;
      setError(null);
      try {
        const next = await work(stop.signal);
        if (!stop.signal.aborted) {
          setStage(next);
        }
      } catch (problem) {
        if (!stop.signal.aborted) {
          setError(problem);
          setStage({ at: 'choosing' });
        }
      }
    },
    []
  );
  const take = useCallback(
    (file: File) =>
      look(async signal => {
        setStage({ at: 'sending', file, sent: 0 });
        const blob = await client.upload(file, {
          signal,
          onProgress: sent => setStage({ at: 'sending', file, sent })
        });
        setStage({ at: 'looking', name: file.name });
        const source = `blob:${blob.id}`;
        const guess = await client.post('/api/v1/data:inspect', { source }, { signal });
        return { at: 'asking', origin: { name: file.name, size: file.size }, source, guess };
      }),
    [client, look]
  );
  const find = (typed: string): Promise<void> =>
    look(async signal => {
      const name = typed.trim();
      setStage({ at: 'looking', name });
      const sql = query(name);
      if (sql === null) {
        const guess = await client.post('/api/v1/data:inspect', { source: name }, { signal });
        return { at: 'asking', origin: { name, size: null }, source: name, guess };
      }
      const preview = await client.post('/api/v1/data:query', { sql, limit: 8 }, { signal });
      const source = `sql:${sql}`;
      return { at: 'asking', origin: { name: source, size: null }, source, guess: guessOf(preview) };
    });

  useEffect(() => {
    setTitle(trans.__('New product'));
    const file = options.file ? keptFile(options.file) : undefined;
    if (file && options.file) {
      void take(file);
    }
    // The upload belongs to the page: closing it stops sending.
    return () => running.current?.abort();
  }, [options.file, setTitle, take, trans]);

  const cancel = (): void => {
    running.current?.abort();
    setStage({ at: 'choosing' });
  };

  return (
    <div className="nx-Body">
      <header className="nx-Top">
        <h1 className={css.title}>{trans.__('Register a table')}</h1>
        <p className={css.lead}>
          {trans.__(
            'A product is a table with an owner, a description and versions. What is trained on it names the version it used.'
          )}
        </p>
      </header>
      {error !== null && <ErrorNote error={error} />}
      {stage.at === 'choosing' && (
        <Choose
          studio={studio}
          onFile={file => void take(file)}
          typed={typed}
          onType={setTyped}
          onSource={() => void find(typed)}
        />
      )}
      {stage.at === 'sending' && (
        <section className={css.section}>
          <Sending file={stage.file} sent={stage.sent} />
          <Button onClick={cancel}>{trans.__('Stop')}</Button>
        </section>
      )}
      {stage.at === 'looking' && (
        <>
          <Loading what={trans.__('the first rows of %1', stage.name)} />
          <Button onClick={cancel}>{trans.__('Stop')}</Button>
        </>
      )}
      {stage.at === 'asking' && (
        <Ask
          key={stage.source}
          studio={studio}
          origin={stage.origin}
          source={stage.source}
          guess={stage.guess}
          onOther={cancel}
          onDone={id => {
            if (options.file) {
              dropFile(options.file);
            }
            setStage({ at: 'choosing' });
            studio.open('product', id);
          }}
        />
      )}
    </div>
  );
}

/** The place a file is dropped on, which is also a button. */
function Choose({
  studio,
  onFile,
  typed,
  onType,
  onSource
}: {
  studio: PageProps['studio'];
  onFile: (file: File) => void;
  typed: string;
  onType: (typed: string) => void;
  onSource: () => void;
}): JSX.Element {
  const { trans } = studio;
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [odd, setOdd] = useState<File | null>(null);
  const offer = (file: File | undefined): void => {
    if (file && !known(file.name)) {
      setOdd(file);
    } else if (file) {
      onFile(file);
    }
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    offer(event.dataTransfer.files[0]);
  };
  if (studio.role() === 'viewer') {
    return <Empty text={trans.__('You may look at this project, not add to it: ask its owner.')} />;
  }
  return (
    <>
      <section
        className={`nx-Drop ${over ? css.drop : ''}`}
        aria-label={trans.__('Drop a file here')}
        onDragOver={event => {
          event.preventDefault();
          event.stopPropagation();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <p>{trans.__('Drop a table here, or')}</p>
        <Button kind="primary" onClick={() => input.current?.click()}>
          {trans.__('Choose a file')}
        </Button>
        <input
          ref={input}
          type="file"
          hidden
          accept={ACCEPT}
          aria-label={trans.__('Table file')}
          onChange={event => {
            offer(event.target.files?.[0]);
            event.target.value = '';
          }}
        />
        <p className={css.quiet}>
          {trans.__('CSV, TSV, JSON lines, Parquet, Arrow or Excel; also compressed by gzip.')}
        </p>
        {odd && (
          <div className={css.note} role="alert">
            <p>{trans.__('The name “%1” is not that of a table.', odd.name)}</p>
            <Button onClick={() => onFile(odd)}>{trans.__('Try it anyway')}</Button>
          </div>
        )}
      </section>
      <form
        className={css.section}
        onSubmit={event => {
          event.preventDefault();
          onSource();
        }}
      >
        <Field
          label={trans.__('From the project’s files or a query')}
          hint={trans.__(
            'A path as the file browser shows it, or SELECT … over this project’s products.'
          )}
        >
          <textarea
            className={css.mono}
            rows={2}
            spellCheck={false}
            placeholder="tables/loans.csv"
            value={typed}
            onChange={event => onType(event.target.value)}
          />
        </Field>
        <Button type="submit" disabled={!typed.trim()}>
          {trans.__('Look at it')}
        </Button>
      </form>
    </>
  );
}

/** The first grid, what was noticed, the questions, and the button. */
function Ask(props: {
  studio: PageProps['studio'];
  origin: Origin;
  source: string;
  guess: Guess;
  onOther: () => void;
  onDone: (id: string) => void;
}): JSX.Element {
  const { studio, guess, source, origin } = props;
  const { trans, client } = studio;
  const [answers, setAnswers] = useState<Answers>(() => suggested(guess));
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const gaps = missing(guess);
  const body = registration(source, guess, answers);
  const register = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      const product = await client.post('/api/v1/data:register', body);
      studio.notify(trans.__('%1 is registered: version %2.', product.name, product.version));
      props.onDone(product.id);
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const some = guess.columns.filter((_, index) => (gaps[index] ?? 0) > 0);
  return (
    <form
      onSubmit={event => {
        event.preventDefault();
        void register();
      }}
    >
      <section className={css.section}>
        <h2>{origin.name}</h2>
        <p className={css.quiet}>
          {[
            guess.format === 'auto' ? '' : guess.format,
            guess.total === null ? '' : trans.__('%1 rows', guess.total.toLocaleString()),
            trans.__('%1 columns', guess.columns.length.toLocaleString()),
            origin.size === null ? '' : bytes(origin.size)
          ]
            .filter(Boolean)
            .join(', ')}
        </p>
        {guess.warnings.length > 0 && (
          <ul className={css.note} aria-label={trans.__('Noticed on the way in')}>
            {guess.warnings.map(sentence => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        )}
        {some.length > 0 && (
          <p className={css.quiet}>
            {trans.__(
              'In these rows values are missing in: %1.',
              some.map(column => column.name).join(', ')
            )}
          </p>
        )}
        <Grid
          caption={trans.__('The first rows of %1', origin.name)}
          columns={guess.columns}
          rows={guess.rows}
          first={1}
        />
      </section>
      <section className={css.section}>
        <Checks
          legend={trans.__('Which columns are sensitive?')}
          choices={guess.columns}
          chosen={answers.sensitive}
          onChange={(name, on) => setAnswers(old => mark(old, guess, name, on))}
        >
          {guess.questions.map(question => (
            <p key={question}>{question}</p>
          ))}
          <p className={css.quiet}>
            {trans.__(
              'Fairness is measured by sensitive columns, and the training page leaves them out unless you say otherwise.'
            )}
          </p>
        </Checks>
        <Field label={trans.__('Name')} hint={trans.__('How the table is called in queries.')}>
          <input
            value={answers.name}
            required
            onChange={event => setAnswers({ ...answers, name: event.target.value })}
          />
        </Field>
        <Field label={trans.__('Description')} hint={trans.__('Whose rows, from where, from when?')}>
          <textarea
            rows={2}
            value={answers.description}
            onChange={event => setAnswers({ ...answers, description: event.target.value })}
          />
        </Field>
        {error !== null && <ErrorNote error={error} />}
        <div className={css.row}>
          <Button kind="primary" type="submit" disabled={busy}>
            {busy ? trans.__('Registering …') : trans.__('Register')}
          </Button>
          <Button onClick={props.onOther} disabled={busy}>
            {trans.__('Another table')}
          </Button>
        </div>
        <SameAs
          code={`wb.data.register(${JSON.stringify(origin.name)}, name=${JSON.stringify(body.name)}, description=${JSON.stringify(body.description)}, sensitive=${JSON.stringify(body.sensitive)})`}
        />
      </section>
    </form>
  );
}

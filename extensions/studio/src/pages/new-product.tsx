/** A table becomes a product: choose it, look at the first rows, answer the questions, register. */

import { useCallback, useEffect, useRef, useState, type DragEvent, type JSX } from 'react';
import type { Guess } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import { dropFile, keptFile } from '../files.ts';
import { Button, Empty, ErrorNote, Field, Loading, SameAs } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { Checks } from './checks.tsx';
import { Grid } from './grid.tsx';
import {
  ACCEPT,
  bytes,
  known,
  mark,
  missing,
  registration,
  suggested,
  type Answers
} from './new-product.state.ts';

type Stage =
  | { at: 'choosing' }
  | { at: 'sending'; file: File; sent: number }
  | { at: 'looking'; file: File }
  | { at: 'asking'; file: File; source: string; guess: Guess };

export default function NewProduct({ studio, options, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const [stage, setStage] = useState<Stage>({ at: 'choosing' });
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);

  const take = useCallback(
    async (file: File) => {
      running.current?.abort();
      const stop = new AbortController();
      running.current = stop;
      setError(null);
      setStage({ at: 'sending', file, sent: 0 });
      try {
        const blob = await studio.client.upload(file, {
          signal: stop.signal,
          onProgress: sent => setStage({ at: 'sending', file, sent })
        });
        setStage({ at: 'looking', file });
        const source = `blob:${blob.id}`;
        const guess = await studio.client.post(
          '/api/v1/data:inspect',
          { source },
          { signal: stop.signal }
        );
        if (!stop.signal.aborted) {
          setStage({ at: 'asking', file, source, guess });
        }
      } catch (problem) {
        if (!stop.signal.aborted) {
          setError(problem);
          setStage({ at: 'choosing' });
        }
      }
    },
    [studio]
  );

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
    <div className={css.page}>
      <header className={css.head}>
        <h1 className={css.title}>{trans.__('Register a table')}</h1>
        <p className={css.lead}>
          {trans.__(
            'A product is a table with an owner, a description and versions. What is trained on it names the version it used.'
          )}
        </p>
      </header>
      {error !== null && <ErrorNote error={error} />}
      {stage.at === 'choosing' && <Choose studio={studio} onFile={file => void take(file)} />}
      {stage.at === 'sending' && (
        <section className={css.section} aria-live="polite">
          <p>
            {trans.__(
              'Sending %1: %2 of %3',
              stage.file.name,
              bytes(stage.sent),
              bytes(stage.file.size)
            )}
          </p>
          <progress
            className={css.progress}
            aria-label={trans.__('Sent')}
            max={Math.max(stage.file.size, 1)}
            value={stage.sent}
          />
          <Button onClick={cancel}>{trans.__('Stop')}</Button>
        </section>
      )}
      {stage.at === 'looking' && (
        <>
          <Loading what={trans.__('the first rows of %1', stage.file.name)} />
          <Button onClick={cancel}>{trans.__('Stop')}</Button>
        </>
      )}
      {stage.at === 'asking' && (
        <Ask
          key={stage.source}
          studio={studio}
          file={stage.file}
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
  onFile
}: {
  studio: PageProps['studio'];
  onFile(file: File): void;
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
  );
}

/** The first grid, what was noticed, the questions, and the button. */
function Ask(props: {
  studio: PageProps['studio'];
  file: File;
  source: string;
  guess: Guess;
  onOther(): void;
  onDone(id: string): void;
}): JSX.Element {
  const { studio, guess, source, file } = props;
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
        <h2>{file.name}</h2>
        <p className={css.quiet}>
          {guess.total === null
            ? trans.__('%1, %2 columns, %3', guess.format, guess.columns.length, bytes(file.size))
            : trans.__(
                '%1, %2 rows, %3 columns, %4',
                guess.format,
                guess.total.toLocaleString(),
                guess.columns.length,
                bytes(file.size)
              )}
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
          caption={trans.__('The first rows of %1', file.name)}
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
            {trans.__('Another file')}
          </Button>
        </div>
        <SameAs
          code={`wb.data.register(${JSON.stringify(file.name)}, name=${JSON.stringify(body.name)}, description=${JSON.stringify(body.description)}, sensitive=${JSON.stringify(body.sensitive)})`}
        />
      </section>
    </form>
  );
}

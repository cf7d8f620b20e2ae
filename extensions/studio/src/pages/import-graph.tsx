/** A file of another tool, or of `export`, becomes a graph that people draw in. */

import { useEffect, useId, useRef, useState, type DragEvent, type JSX } from 'react';
import { StudioError } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import {
  Button,
  Empty,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Sending,
  bytes,
  useWords
} from '../parts/index.ts';
import { sameAs } from '../same.ts';
import { css } from '../tokens.ts';
import {
  ACCEPT,
  ACCEPT_WEIGHTS,
  NOTHING,
  asked,
  isOnnx,
  request,
  sizesOf,
  stem,
  type Asks,
  type Given
} from './import-graph.state.ts';

type Stage = { at: 'asking' } | { at: 'sending'; file: File; sent: number } | { at: 'reading' };

const BLANK: Given = { name: '', answer: '', sizes: '' };

export default function ImportGraph({ studio, setTitle }: PageProps): JSX.Element {
  const { client, trans } = studio;
  const [file, setFile] = useState<File | null>(null);
  const [weights, setWeights] = useState<File | null>(null);
  const [given, setGiven] = useState(BLANK);
  const [asks, setAsks] = useState<Asks>(NOTHING);
  /** Nobody is told that they are wrong while they still write. */
  const [writing, setWriting] = useState(false);
  const [stage, setStage] = useState<Stage>({ at: 'asking' });
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);
  /** Where files are that were sent: whoever goes on after a refusal sends nothing twice. */
  const sent = useRef(new Map<File, string>());

  useEffect(() => {
    setTitle(trans.__('Import a graph'));
    // What is sent belongs to the page: closing it stops sending.
    return () => running.current?.abort();
  }, [setTitle, trans]);

  if (studio.role() === 'viewer') {
    return <Empty text={trans.__('You may look at this project, not add to it: ask its owner.')} />;
  }

  const choose = (next: File | null): void => {
    setFile(next);
    setAsks(NOTHING);
    setGiven(old => ({ ...BLANK, name: old.name }));
    setError(null);
  };
  const sizes = sizesOf(given.sizes);
  const unsaid =
    (asks.answer !== null && !given.answer.trim()) ||
    (asks.sizes !== null && !given.sizes.trim());
  const busy = stage.at !== 'asking';
  const onnx = file !== null && isOnnx(file.name);

  const send = async (each: File, signal: AbortSignal): Promise<string> => {
    let source = sent.current.get(each);
    if (source === undefined) {
      setStage({ at: 'sending', file: each, sent: 0 });
      const blob = await client.upload(each, {
        signal,
        onProgress: count => setStage({ at: 'sending', file: each, sent: count })
      });
      source = `blob:${blob.id}`;
      sent.current.set(each, source);
    }
    return source;
  };
  const bring = async (from: File): Promise<void> => {
    const stop = new AbortController();
    running.current = stop;
    const { signal } = stop;
    setError(null);
    try {
      const source = await send(from, signal);
      const beside = weights && !onnx ? await send(weights, signal) : '';
      setStage({ at: 'reading' });
      const made = await client.post(
        '/api/v1/documents:import_document',
        request(from.name, source, beside, asks, given),
        { signal }
      );
      choose(null);
      setWeights(null);
      setGiven(BLANK);
      sent.current.clear();
      studio.open('graph', made.id);
    } catch (problem) {
      if (!signal.aborted) {
        setError(problem);
        if (problem instanceof StudioError) {
          setAsks(asked(asks, problem.hint));
          if (problem.status === 404) {
            // What was sent is kept for a while only.
            sent.current.clear();
          }
        }
      }
    } finally {
      setStage({ at: 'asking' });
    }
  };
  const put = (part: Partial<Given>): void => setGiven(old => ({ ...old, ...part }));

  return (
    <form
      className="nx-Body"
      onSubmit={event => {
        event.preventDefault();
        setWriting(false);
        if (file && !unsaid && !busy && (asks.sizes === null || sizes !== null)) {
          void bring(file);
        }
      }}
    >
      <header className="nx-Top">
        <h1 className={css.title}>{trans.__('Import a network')}</h1>
        <p className={css.lead}>
          {trans.__(
            'An ONNX file of any tool is read layer by layer, with its weights; it is kept if it answers as the file does. A graph that was exported here comes back as it was.'
          )}
        </p>
      </header>
      <Drop file={file} busy={busy} choose={choose} />
      <div className={`${css.grid} ${css.section}`}>
        <Field label={trans.__('Name')} hint={trans.__('As in the file, if empty.')}>
          <input
            value={given.name}
            maxLength={120}
            disabled={busy}
            placeholder={onnx ? stem(file.name) : ''}
            onChange={event => put({ name: event.target.value })}
          />
        </Field>
        {file && !onnx && <Weights file={weights} busy={busy} choose={setWeights} />}
        {onnx && asks.answer !== null && (
          <Field
            label={trans.__('Output')}
            hint={trans.__('The name of the one that the graph is to have.')}
          >
            <input
              value={given.answer}
              disabled={busy}
              autoFocus
              spellCheck={false}
              placeholder={asks.answer}
              onChange={event => put({ answer: event.target.value })}
            />
          </Field>
        )}
        {onnx && asks.sizes !== null && (
          <Field
            label={trans.__('Sizes')}
            hint={trans.__('How long what is left open is, such as %1.', asks.sizes)}
            error={
              sizes === null && !writing
                ? trans.__('A name and a whole number each, such as %1.', asks.sizes)
                : null
            }
          >
            <input
              value={given.sizes}
              disabled={busy}
              autoFocus
              spellCheck={false}
              placeholder={asks.sizes}
              onChange={event => {
                setWriting(true);
                put({ sizes: event.target.value });
              }}
              onBlur={() => setWriting(false)}
            />
          </Field>
        )}
      </div>
      <section className={css.section}>
        {error !== null && <ErrorNote error={error} />}
        {stage.at === 'sending' && <Sending file={stage.file} sent={stage.sent} />}
        {stage.at === 'reading' && <Loading what={trans.__('the layers of %1', file?.name ?? '')} />}
        <div className={css.row}>
          {/* Keys: one button that became the other while it is clicked would send the form. */}
          {busy ? (
            <Button key="stop" onClick={() => running.current?.abort()}>
              {trans.__('Stop')}
            </Button>
          ) : (
            <Button key="import" kind="primary" type="submit" disabled={!file || unsaid}>
              {trans.__('Import')}
            </Button>
          )}
        </div>
      </section>
      {file && (
        <SameAs
          code={sameAs('documents.import_document', {
            ...request(file.name, file.name, weights?.name ?? '', asks, given)
          })}
        />
      )}
    </form>
  );
}

interface ChosenProps {
  file: File | null;
  busy: boolean;
  choose: (file: File | null) => void;
}

/** The place a file is dropped on, which is also a button. */
function Drop({ file, busy, choose }: ChosenProps): JSX.Element {
  const trans = useWords();
  const [over, setOver] = useState(false);
  const take = (event: DragEvent, drops: boolean): void => {
    event.preventDefault();
    event.stopPropagation();
    setOver(!drops && !busy);
    const dropped = drops && !busy ? event.dataTransfer.files[0] : undefined;
    if (dropped) {
      choose(dropped);
    }
  };
  return (
    <section
      className={`nx-Drop ${over ? css.drop : ''}`}
      aria-label={trans.__('Drop a file here')}
      onDragOver={event => take(event, false)}
      onDragLeave={() => setOver(false)}
      onDrop={event => take(event, true)}
    >
      {file ? (
        <p>
          <strong>{file.name}</strong> · {bytes(file.size)}
        </p>
      ) : (
        <p>{trans.__('Drop a network here, or')}</p>
      )}
      <Chooser
        label={trans.__('Network file')}
        accept={ACCEPT}
        primary={!file}
        text={file ? trans.__('Choose another') : trans.__('Choose a file')}
        busy={busy}
        choose={choose}
      />
      <p className={css.quiet}>
        {trans.__('ONNX (.onnx), or what an export as a graph wrote (.graph.json).')}
      </p>
    </section>
  );
}

/** A graph's JSON has no numbers in it: they may come in a file of their own. */
function Weights({ file, busy, choose }: ChosenProps): JSX.Element {
  const trans = useWords();
  const id = useId();
  return (
    <div className={css.field} role="group" aria-labelledby={id}>
      <strong id={id}>{trans.__('Weights')}</strong>
      <div className={css.row}>
        <Chooser
          label={trans.__('Weights file')}
          accept={ACCEPT_WEIGHTS}
          text={file ? trans.__('Choose another') : trans.__('Choose a file')}
          busy={busy}
          choose={choose}
        />
        {file && (
          <>
            <span>
              {file.name} · {bytes(file.size)}
            </span>
            <Button kind="link" disabled={busy} onClick={() => choose(null)}>
              {trans.__('Leave them out')}
            </Button>
          </>
        )}
      </div>
      <p className={css.hint}>
        {trans.__(
          'What the layers are to begin with, if you have it: .safetensors, by the names that the built module has.'
        )}
      </p>
    </div>
  );
}

/** A button that asks for a file of this computer. */
function Chooser(props: {
  label: string;
  accept: string;
  text: string;
  primary?: boolean;
  busy: boolean;
  choose: (file: File) => void;
}): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button
        kind={props.primary ? 'primary' : 'plain'}
        disabled={props.busy}
        onClick={() => input.current?.click()}
      >
        {props.text}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        accept={props.accept}
        aria-label={props.label}
        onChange={event => {
          const [chosen] = event.target.files ?? [];
          if (chosen) {
            props.choose(chosen);
          }
          event.target.value = '';
        }}
      />
    </>
  );
}

/** What a page shows while it has nothing else to show, and the badge of a state. */

import { useEffect, useState, type JSX, type ReactNode } from 'react';
import { StudioError } from '@nexus-workbench/contract';
import { stateName } from '../titles.ts';
import { css, time } from '../tokens.ts';
import { Button } from './form.tsx';
import { useWords } from './words.ts';

/** A frame at once; after a while it says that it takes long. */
export function Loading({ what, retry }: { what?: string; retry?: () => void }): JSX.Element {
  const trans = useWords();
  const [long, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), time.long);
    return () => clearTimeout(timer);
  }, [what]);
  return (
    <div className={css.loading} role="status" aria-live="polite">
      <p>{what ? trans.__('Loading %1 …', what) : trans.__('Loading …')}</p>
      {long && (
        <>
          <p className={css.quiet}>{trans.__('This takes longer than usual.')}</p>
          {retry && <Button onClick={retry}>{trans.__('Retry')}</Button>}
        </>
      )}
    </div>
  );
}

/** The sentence of an error, and what to do about it. */
export function ErrorNote({ error, retry }: { error: unknown; retry?: () => void }): JSX.Element {
  const trans = useWords();
  const studio = error instanceof StudioError ? error : null;
  const sentence = error instanceof Error ? error.message : String(error);
  return (
    <div className={css.error} role="alert">
      <p>
        <strong>{sentence}</strong>
      </p>
      {studio?.hint && <p>{studio.hint}</p>}
      {studio?.status === 503 && !studio.hint && (
        <p>{trans.__('Check that the Studio is running, then try again.')}</p>
      )}
      {studio?.trace && (
        <p className={css.quiet}>
          {trans.__('Asking somebody about it? Quote')} <code>{studio.trace}</code>
        </p>
      )}
      {retry && <Button onClick={retry}>{trans.__('Retry')}</Button>}
    </div>
  );
}

/** Nothing here yet, and how to change that. */
export function Empty({ text, action }: { text: ReactNode; action?: ReactNode }): JSX.Element {
  return (
    <div className={css.empty}>
      <p>{text}</p>
      {action}
    </div>
  );
}

const GOOD = new Set(['done', 'pass', 'ok', 'allowed', 'production', 'registered']);
const BAD = new Set(['failed', 'fail', 'error', 'refused', 'denied']);
const BUSY = new Set(['running', 'queued']);

/** A state in a word; its colour says it a second time. `text` replaces the word. */
export function Badge({ state, text }: { state: string; text?: string }): JSX.Element {
  const trans = useWords();
  const kind = GOOD.has(state) ? 'good' : BAD.has(state) ? 'bad' : BUSY.has(state) ? 'busy' : 'other';
  return (
    <span className={css.badge} data-kind={kind} data-state={state}>
      {text ?? stateName(state, trans)}
    </span>
  );
}

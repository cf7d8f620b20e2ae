/** Where a comment is written: names complete as they are typed, Ctrl+Enter sends. */

import { useEffect, useId, useLayoutEffect, useRef, useState, type JSX, type KeyboardEvent } from 'react';
import { Button } from '../parts/form.tsx';
import { ErrorNote } from '../parts/state.tsx';
import { useWords } from '../parts/words.ts';
import { css } from '../tokens.ts';
import type { Comments } from './model.ts';
import { complete, completion, type Completion } from './state.ts';

const LONGEST = 10_000;

export interface ComposerProps {
  comments: Comments;
  /** What is being written, for the text that was not sent. */
  draft: string;
  /** What the field is called. */
  label: string;
  /** What the button that sends is called. */
  send: string;
  initial?: string;
  onSend: (text: string) => Promise<void>;
  onCancel: () => void;
}

export function Composer(props: ComposerProps): JSX.Element {
  const { comments, draft, onSend, onCancel } = props;
  const trans = useWords();
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState(() => comments.drafts.get(draft) ?? props.initial ?? '');
  const [found, setFound] = useState<Completion | null>(null);
  const [chosen, setChosen] = useState(0);
  const [caret, setCaret] = useState<number | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    const area = field.current;
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }, []);
  useLayoutEffect(() => {
    if (caret !== null) {
      field.current?.setSelectionRange(caret, caret);
      setCaret(null);
    }
  }, [caret]);

  const write = (value: string): void => {
    setText(value);
    comments.drafts.set(draft, value);
  };
  const look = (area: HTMLTextAreaElement): void => {
    const alone = area.selectionStart === area.selectionEnd;
    setFound(alone ? completion(area.value, area.selectionStart, comments.members) : null);
    setChosen(0);
  };
  const put = (name: string): void => {
    const area = field.current;
    if (area && found) {
      const done = complete(text, area.selectionStart, found.from, name);
      write(done.text);
      setCaret(done.caret);
      setFound(null);
      area.focus();
    }
  };
  const send = async (): Promise<void> => {
    if (busy || text.trim() === '') {
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await onSend(text);
      comments.drafts.delete(draft);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const cancel = (): void => {
    comments.drafts.delete(draft);
    onCancel();
  };
  const press = (event: KeyboardEvent): void => {
    const done = key(event, { found, chosen, setChosen, put, setFound, send, cancel });
    if (done) {
      event.preventDefault();
      event.stopPropagation();
    }
  };

  const option = (at: number): string => `${id}-name-${at}`;
  return (
    <form
      className="nx-Composer"
      // Keys typed here are the text's, not JupyterLab's.
      data-lm-suppress-shortcuts="true"
      onSubmit={event => {
        event.preventDefault();
        void send();
      }}
    >
      <label htmlFor={id} className="nx-mod-hidden">
        {props.label}
      </label>
      <textarea
        id={id}
        ref={field}
        className={css.input}
        rows={3}
        maxLength={LONGEST}
        value={text}
        placeholder={props.label}
        aria-describedby={`${id}-hint`}
        aria-autocomplete="list"
        aria-controls={found ? `${id}-names` : undefined}
        aria-activedescendant={found ? option(chosen) : undefined}
        onChange={event => {
          write(event.target.value);
          look(event.target);
        }}
        onClick={event => look(event.currentTarget)}
        onBlur={() => setFound(null)}
        onKeyDown={press}
      />
      {found && (
        <ul
          id={`${id}-names`}
          className="nx-Composer-names"
          role="listbox"
          aria-label={trans.__('People of the project')}
        >
          {found.names.map((name, at) => (
            <li
              key={name}
              id={option(at)}
              role="option"
              aria-selected={at === chosen}
              // Not a click: the field would lose the focus before.
              onMouseDown={event => {
                event.preventDefault();
                put(name);
              }}
            >
              @{name}
            </li>
          ))}
        </ul>
      )}
      <p id={`${id}-hint`} className={css.hint} aria-live="polite">
        {found
          ? trans._n(
              '%1 person: Enter to choose',
              '%1 people: arrow keys, Enter to choose',
              found.names.length
            )
          : trans.__('@ names a member. Ctrl+Enter sends.')}
      </p>
      {error !== null && <ErrorNote error={error} />}
      <div className={css.row}>
        <Button kind="primary" type="submit" disabled={busy || text.trim() === ''}>
          {props.send}
        </Button>
        <Button onClick={cancel}>{trans.__('Cancel')}</Button>
      </div>
    </form>
  );
}

interface Keys {
  found: Completion | null;
  chosen: number;
  setChosen: (at: number) => void;
  put: (name: string) => void;
  setFound: (found: null) => void;
  send: () => Promise<void>;
  cancel: () => void;
}

/** What a key does; false if it is the field's own. */
function key(event: KeyboardEvent, keys: Keys): boolean {
  const { found, chosen } = keys;
  if (event.nativeEvent.isComposing) {
    return false;
  }
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    void keys.send();
    return true;
  }
  if (!found) {
    if (event.key === 'Escape') {
      keys.cancel();
      return true;
    }
    return false;
  }
  const count = found.names.length;
  switch (event.key) {
    case 'ArrowDown':
      keys.setChosen((chosen + 1) % count);
      return true;
    case 'ArrowUp':
      keys.setChosen((chosen + count - 1) % count);
      return true;
    case 'Enter':
    case 'Tab':
      keys.put(found.names[chosen]!);
      return true;
    case 'Escape':
      keys.setFound(null);
      return true;
    default:
      return false;
  }
}

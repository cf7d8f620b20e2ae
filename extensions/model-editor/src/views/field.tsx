/** A labelled control of a form, and what is wrong with what it says. */

import { cloneElement, useId, type InputHTMLAttributes, type JSX, type ReactElement } from 'react';

interface Control {
  id?: string;
  'aria-describedby'?: string;
  'aria-invalid'?: boolean;
}

export function Field({
  label,
  hint,
  error,
  children
}: {
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  children: ReactElement<Control>;
}): JSX.Element {
  const id = useId();
  const told = hint || error ? `${id}-hint` : undefined;
  return (
    <div className="nx-GraphField">
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        ...(told ? { 'aria-describedby': told } : {}),
        ...(error ? { 'aria-invalid': true } : {})
      })}
      {told && (
        <p id={told} data-error={error ? true : undefined}>
          {error && <strong>{error} </strong>}
          {hint}
        </p>
      )}
    </div>
  );
}

/** One of many choices, found by a few letters of it. */
export function Searched({
  choices,
  ...rest
}: InputHTMLAttributes<HTMLInputElement> & { choices: readonly string[] }): JSX.Element {
  const list = useId();
  return (
    <>
      <input
        {...rest}
        list={list}
        autoComplete="off"
        spellCheck={false}
        autoCapitalize="off"
        // What is typed replaces what was chosen: the browser lists only what is like it.
        onFocus={event => event.target.select()}
      />
      <datalist id={list}>
        {choices.map(choice => (
          <option key={choice} value={choice} />
        ))}
      </datalist>
    </>
  );
}

/** A labelled control of a form, and what is wrong with what it says. */

import { cloneElement, useId, type JSX, type ReactElement } from 'react';

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

/** Buttons and fields. */

import {
  useId,
  type ButtonHTMLAttributes,
  type JSX,
  type ReactElement,
  type ReactNode,
  cloneElement
} from 'react';
import { css } from '../tokens.ts';

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'primary' | 'danger' | 'plain' | 'link';
}

const KINDS = {
  primary: `${css.button} ${css.primary}`,
  danger: `${css.button} ${css.danger}`,
  plain: css.button,
  link: css.link
};

export function Button({ kind = 'plain', className, ...rest }: ButtonProps): JSX.Element {
  return <button type="button" className={`${KINDS[kind]} ${className ?? ''}`.trim()} {...rest} />;
}

interface Control {
  id?: string;
  className?: string;
  'aria-describedby'?: string;
  'aria-invalid'?: boolean;
}

/** A labelled control: `children` is one input, select or textarea. */
export function Field({
  label,
  hint,
  error,
  children
}: {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null;
  children: ReactElement<Control>;
}): JSX.Element {
  const id = useId();
  const told = hint || error ? `${id}-hint` : undefined;
  return (
    <div className={css.field}>
      <label htmlFor={id}>{label}</label>
      {cloneElement(children, {
        id,
        className: `${css.input} ${children.props.className ?? ''}`.trim(),
        ...(told ? { 'aria-describedby': told } : {}),
        ...(error ? { 'aria-invalid': true } : {})
      })}
      {told && (
        <p id={told} className={css.hint} data-error={error ? 'true' : undefined}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

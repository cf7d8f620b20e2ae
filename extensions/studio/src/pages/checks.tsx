/** Choosing columns by ticking them; a filter appears where there are many. */

import { useState, type JSX, type ReactNode } from 'react';
import { Field, useWords } from '../parts/index.ts';
import { css } from '../tokens.ts';

/** As many as are drawn at once; the chosen ones are always drawn. */
const MOST = 40;

export interface Choice {
  name: string;
  /** Why it is offered, or what choosing it means. */
  note?: ReactNode;
}

export function Checks({
  legend,
  choices,
  chosen,
  onChange,
  children
}: {
  legend: string;
  choices: readonly Choice[];
  chosen: readonly string[];
  onChange: (name: string, on: boolean) => void;
  children?: ReactNode;
}): JSX.Element {
  const trans = useWords();
  const [filter, setFilter] = useState('');
  const wanted = filter.trim().toLowerCase();
  const fit = choices.filter(
    choice => chosen.includes(choice.name) || choice.name.toLowerCase().includes(wanted)
  );
  const first = [
    ...fit.filter(choice => chosen.includes(choice.name)),
    ...fit.filter(choice => !chosen.includes(choice.name))
  ].slice(0, Math.max(MOST, chosen.length));
  const shown = choices.length > MOST ? first : choices;
  return (
    <fieldset className="nx-Choices">
      <legend>{legend}</legend>
      {children}
      {choices.length > MOST && (
        <Field
          label={trans.__('Find a column')}
          hint={trans.__('%1 of %2 columns shown', shown.length, choices.length)}
        >
          <input type="search" value={filter} onChange={event => setFilter(event.target.value)} />
        </Field>
      )}
      <div className="nx-Checks">
        {shown.map(choice => (
          <label key={choice.name}>
            <input
              type="checkbox"
              checked={chosen.includes(choice.name)}
              onChange={event => onChange(choice.name, event.target.checked)}
            />{' '}
            {choice.name}
            {choice.note && <span className={css.quiet}> {choice.note}</span>}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

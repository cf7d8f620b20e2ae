/** One row, typed in: what the model says about it. */

import { useState, type JSX } from 'react';
import type { Field as Input, Model, Predictions } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import { Button, ErrorNote, Field, SameAs } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { firstRow, isNumber, rowOf } from './model.state.ts';
import { python } from '../same.ts';

export function TryRow({ studio, model }: { studio: StudioContext; model: Model }): JSX.Element {
  const { trans, client } = studio;
  const [form, setForm] = useState(() => firstRow(model.inputs));
  const [told, setTold] = useState<Predictions | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [filter, setFilter] = useState('');
  const ref = `${model.id}@${model.version}`;
  const made = rowOf(model.inputs, form);
  const wanted = filter.trim().toLowerCase();
  const shown = model.inputs.filter(
    (input, at) =>
      (wanted ? input.name.toLowerCase().includes(wanted) : at < 40) ||
      ('wrong' in made && made.wrong === input.name)
  );
  const predict = async (): Promise<void> => {
    if ('wrong' in made) {
      return;
    }
    setBusy(true);
    setError(null);
    try {
      setTold(await client.post('/api/v1/models:predict', { model: ref, rows: [made.row] }));
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className={css.section}>
      <h2>{trans.__('Try one row')}</h2>
      {model.inputs.length > 40 && (
        <Field
          label={trans.__('Find an input')}
          hint={trans.__('%1 of %2 shown', shown.length, model.inputs.length)}
        >
          <input type="search" value={filter} onChange={event => setFilter(event.target.value)} />
        </Field>
      )}
      <form
        onSubmit={event => {
          event.preventDefault();
          void predict();
        }}
      >
        <div className="nx-TryRow">
          {shown.map(input => (
            <Field
              key={input.name}
              label={input.name}
              hint={range(input)}
              error={
                'wrong' in made && made.wrong === input.name ? trans.__('This is no number.') : null
              }
            >
              {input.categories.length > 0 ? (
                <select
                  value={form[input.name] ?? ''}
                  onChange={event => setForm({ ...form, [input.name]: event.target.value })}
                >
                  <option value="">{trans.__('missing')}</option>
                  {choices(input, form[input.name] ?? '').map(value => (
                    <option key={value}>{value}</option>
                  ))}
                </select>
              ) : (
                <input
                  inputMode={isNumber(input) ? 'decimal' : 'text'}
                  placeholder={trans.__('missing')}
                  value={form[input.name] ?? ''}
                  onChange={event => setForm({ ...form, [input.name]: event.target.value })}
                />
              )}
            </Field>
          ))}
        </div>
        <div className={css.row}>
          <Button kind="primary" type="submit" disabled={busy || 'wrong' in made}>
            {busy ? trans.__('Asking …') : trans.__('Predict')}
          </Button>
          <Button onClick={() => setForm(firstRow(model.inputs))}>{trans.__('Start again')}</Button>
        </div>
      </form>
      {error !== null && <ErrorNote error={error} />}
      <div aria-live="polite">{told && <Answer studio={studio} model={model} told={told} />}</div>
      {'row' in made && (
        <SameAs
          code={`wb.models.predict(${JSON.stringify(ref)}, rows=[${python(made.row)}])`}
        />
      )}
    </section>
  );
}

function Answer(props: { studio: StudioContext; model: Model; told: Predictions }): JSX.Element {
  const { trans } = props.studio;
  const first = props.told.items[0];
  const probabilities = Object.entries(first?.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  return (
    <div className={css.note}>
      <p>
        <strong>
          {first === undefined
            ? trans.__('No answer.')
            : first.label === null
              ? trans.__('%1: %2', props.model.target, String(Number(first.value.toPrecision(5))))
              : trans.__('%1: %2', props.model.target, first.label)}
        </strong>
      </p>
      {probabilities.length > 0 && (
        <ul className="nx-Chances">
          {probabilities.map(([label, chance]) => (
            <li key={label}>
              <span>{label}</span>
              <meter min={0} max={1} value={chance} aria-label={label} />
              <span className={css.number}>{`${(100 * chance).toFixed(1)} %`}</span>
            </li>
          ))}
        </ul>
      )}
      {props.told.warnings.map(sentence => (
        <p key={sentence}>{sentence}</p>
      ))}
    </div>
  );
}

function range(input: Input): string | null {
  const short = (value: number): string => String(Number(value.toPrecision(4)));
  return typeof input.minimum === 'number' && typeof input.maximum === 'number'
    ? `${short(input.minimum)} – ${short(input.maximum)}`
    : null;
}

function choices(input: Input, chosen: string): string[] {
  return chosen && !input.categories.includes(chosen)
    ? [chosen, ...input.categories]
    : input.categories;
}

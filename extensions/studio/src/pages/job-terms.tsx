/** How a job that waits or runs is to run: its place, its time, how often it is tried again. */

import { useState, type FormEvent, type JSX } from 'react';
import type { Job } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import { Button, ErrorNote, Field } from '../parts/index.ts';
import { css } from '../tokens.ts';

const MINUTE_S = 60;
const MOST_RETRIES = 20;

export function JobTerms({
  job,
  studio,
  onChange
}: {
  job: Job;
  studio: StudioContext;
  onChange: () => void;
}): JSX.Element {
  const { trans } = studio;
  const [priority, setPriority] = useState(job.priority);
  const [minutes, setMinutes] = useState(job.timeout_s ? String(job.timeout_s / MINUTE_S) : '');
  const [retries, setRetries] = useState(String(job.retries));
  const [trouble, setTrouble] = useState<unknown>(null);
  const [saved, setSaved] = useState(false);
  const seconds = minutes === '' ? null : Number(minutes) * MINUTE_S;
  const changed =
    priority !== job.priority ||
    (seconds !== null && seconds !== job.timeout_s) ||
    Number(retries) !== job.retries;

  const save = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setTrouble(null);
    try {
      await studio.client.patch(
        '/api/v1/pipelines/jobs/{id}',
        { id: job.id },
        { priority, timeout_s: seconds, retries: Number(retries) }
      );
      setSaved(true);
      onChange();
    } catch (reason) {
      setTrouble(reason);
    }
  };

  return (
    <details className={css.section}>
      <summary>{trans.__('How it runs')}</summary>
      <form
        className={css.stack}
        onSubmit={event => void save(event)}
        onChange={() => setSaved(false)}
      >
        <div className={css.row}>
          <Field label={trans.__('Priority')} hint={trans.__('among this project’s jobs that wait')}>
            <select
              value={priority}
              onChange={event => setPriority(event.target.value as Job['priority'])}
            >
              <option value="high">{trans.__('high')}</option>
              <option value="normal">{trans.__('normal')}</option>
              <option value="low">{trans.__('low')}</option>
            </select>
          </Field>
          <Field
            label={trans.__('Stop an attempt after')}
            hint={trans.__('minutes; empty: when the Studio’s own limit is reached')}
          >
            <input
              type="number"
              min={1 / MINUTE_S}
              step="any"
              value={minutes}
              required={job.timeout_s !== null}
              onChange={event => setMinutes(event.target.value)}
            />
          </Field>
          <Field
            label={trans.__('Try again')}
            hint={trans.__('times, when it fails for a reason that may pass')}
          >
            <input
              type="number"
              min={0}
              max={MOST_RETRIES}
              step={1}
              required
              value={retries}
              onChange={event => setRetries(event.target.value)}
            />
          </Field>
        </div>
        {trouble !== null && <ErrorNote error={trouble} />}
        <p className={css.row}>
          <Button type="submit" kind="primary" disabled={!changed}>
            {trans.__('Save')}
          </Button>
          <span role="status" className={css.quiet}>
            {saved ? trans.__('Saved.') : ''}
          </span>
        </p>
      </form>
    </details>
  );
}

/** A job that begins by itself: when it does next, how the last one went; and how to make one. */

import { useEffect, useState, type FormEvent, type JSX } from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Schedule } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import { Ago, Badge, Button, Empty, ErrorNote, Field, Loading, SameAs, useLoad } from '../parts/index.ts';
import { sameAs } from '../same.ts';
import { person } from '../state.ts';
import { jobTitle } from '../titles.ts';
import { css } from '../tokens.ts';
import { EVERY, MORNING, clocks, cronOf, timesOf, wanted, type Every, type Times } from './schedule.state.ts';

export default function SchedulePage(props: PageProps): JSX.Element {
  return props.id ? <Shown {...props} /> : <Made {...props} />;
}

function weekdays(trans: TranslationBundle): string[] {
  return [
    trans.__('Sunday'),
    trans.__('Monday'),
    trans.__('Tuesday'),
    trans.__('Wednesday'),
    trans.__('Thursday'),
    trans.__('Friday'),
    trans.__('Saturday')
  ];
}

function everyName(every: Every, trans: TranslationBundle): string {
  return {
    hour: trans.__('every hour'),
    day: trans.__('every day'),
    weekday: trans.__('every weekday'),
    week: trans.__('every week'),
    month: trans.__('every month'),
    other: trans.__('as a cron line says')
  }[every];
}

/** `every weekday at 06:30`, on the schedule's own clock. */
export function timesText(cron: string, trans: TranslationBundle): string {
  const { every, at, weekday, day, line } = timesOf(cron);
  switch (every) {
    case 'hour':
      return trans.__('every hour, %1 minutes past', Number(at.slice(3)));
    case 'day':
      return trans.__('every day at %1', at);
    case 'weekday':
      return trans.__('every weekday at %1', at);
    case 'week':
      return trans.__('every %1 at %2', weekdays(trans)[weekday], at);
    case 'month':
      return trans.__('on day %1 of every month at %2', day, at);
    case 'other':
      return line;
  }
}

function Shown({ studio, id, setTitle }: PageProps): JSX.Element {
  const { trans, client } = studio;
  const { data, error, reload } = useLoad(
    signal => client.get('/api/v1/pipelines/schedules/{id}', { path: { id }, signal }),
    [client, id]
  );
  const [trouble, setTrouble] = useState<unknown>(null);
  const [gone, setGone] = useState(false);
  const [sure, setSure] = useState(false);
  const title = data ? trans.__('Schedule: %1', data.name) : '';
  useEffect(() => {
    if (title) {
      setTitle(title);
    }
  }, [title, setTitle]);
  useEffect(() => {
    const heard = (_: unknown, event: { refs: Record<string, unknown>; action: string }): void => {
      if (event.refs.schedule === id && event.action !== 'pipelines.delete_schedule') {
        reload();
      }
    };
    studio.changed.connect(heard);
    return () => {
      studio.changed.disconnect(heard);
    };
  }, [studio, id, reload]);
  if (gone) {
    return <Empty text={trans.__('The schedule is deleted. The jobs it began stay.')} />;
  }
  if (!data) {
    return error ? <ErrorNote error={error} retry={reload} /> : <Loading retry={reload} />;
  }
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    setTrouble(null);
    try {
      await work();
      reload();
    } catch (reason) {
      setTrouble(reason);
    }
  };
  const change = (verb: 'pause' | 'resume') =>
    act(() => client.post(`/api/v1/pipelines:${verb}_schedule`, { id }));
  const remove = () =>
    act(async () => {
      await client.delete('/api/v1/pipelines/schedules/{id}', { id });
      setGone(true);
    });
  return (
    <>
      <header className={css.head}>
        <div className={css.title}>
          <h1>{title}</h1>
          <span className={css.quiet}>
            {trans.__('by %1', person(data.actor))} · <Ago at={data.made_at} />
          </span>
        </div>
        <Badge
          state={data.paused ? 'cancelled' : 'done'}
          text={data.paused ? trans.__('paused') : trans.__('on')}
        />
        {studio.role() !== 'viewer' && (
          <>
            <Button onClick={() => void change(data.paused ? 'resume' : 'pause')}>
              {data.paused ? trans.__('Resume') : trans.__('Pause')}
            </Button>
            <Button
              kind="danger"
              onClick={() => (sure ? void remove() : setSure(true))}
              onBlur={() => setSure(false)}
            >
              {sure ? trans.__('Delete it for good') : trans.__('Delete')}
            </Button>
          </>
        )}
      </header>
      {trouble !== null && <ErrorNote error={trouble} />}
      {data.note && (
        <p className={css.note} data-kind="bad">
          {data.note}
        </p>
      )}
      <section className={css.section}>
        <dl className={css.facts}>
          <dt>{trans.__('begins')}</dt>
          <dd>{trans.__('%1, on the clock of %2', timesText(data.cron, trans), data.timezone)}</dd>
          <dt>{trans.__('next')}</dt>
          <dd>{data.next_at ? new Date(data.next_at).toLocaleString() : trans.__('not while it is paused')}</dd>
          <dt>{trans.__('last')}</dt>
          <dd>
            <Last schedule={data} open={job => studio.open('job', job)} trans={trans} />
          </dd>
          <dt>{trans.__('runs')}</dt>
          <dd>{jobTitle(data, trans)}</dd>
        </dl>
        <SameAs code={callOf(data)} />
      </section>
    </>
  );
}

function Last(props: {
  schedule: Schedule;
  open: (job: string) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { schedule, open, trans } = props;
  const { last_at, last_job } = schedule;
  if (!last_at) {
    return <>{trans.__('never yet')}</>;
  }
  return last_job ? (
    <Button kind="link" onClick={() => open(last_job)}>
      {new Date(last_at).toLocaleString()}
    </Button>
  ) : (
    <>{new Date(last_at).toLocaleString()}</>
  );
}

const callOf = (made: Pick<Schedule, 'action' | 'request' | 'cron' | 'timezone' | 'name'>): string =>
  sameAs('pipelines.create_schedule', {
    action: made.action,
    request: made.request,
    cron: made.cron,
    timezone: made.timezone,
    name: made.name
  });

const OWN = Intl.DateTimeFormat().resolvedOptions().timeZone;
const CLOCKS = clocks(OWN, Intl.supportedValuesOf('timeZone'));

function Made({ studio, options, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const asked = wanted(options);
  const [times, setTimes] = useState<Times>(MORNING);
  const [timezone, setTimezone] = useState(CLOCKS[0] ?? 'UTC');
  const [name, setName] = useState(() => (asked ? jobTitle(asked, trans) : ''));
  const [trouble, setTrouble] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [made, setMade] = useState('');
  const title = trans.__('New schedule');
  useEffect(() => setTitle(title), [title, setTitle]);
  if (!asked) {
    return (
      <Empty
        text={trans.__(
          'What is to run? Choose "Run on a Schedule" at a notebook, or at a job that ran once.'
        )}
      />
    );
  }
  if (made) {
    return (
      <div className={css.note} data-kind="good">
        <p>
          <strong>{trans.__('It is scheduled.')}</strong>
        </p>
        <Button kind="primary" onClick={() => studio.open('schedule', made)}>
          {trans.__('Open the %1', trans.__('schedule'))}
        </Button>
      </div>
    );
  }
  const set = (part: Partial<Times>): void => setTimes(before => ({ ...before, ...part }));
  const cron = cronOf(times);
  const send = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setTrouble(null);
    try {
      const { id } = await studio.client.post('/api/v1/pipelines/schedules', {
        ...asked,
        cron,
        timezone,
        name
      });
      setMade(id);
      studio.open('schedule', id);
    } catch (reason) {
      setTrouble(reason);
    } finally {
      setBusy(false);
    }
  };
  const { every } = times;
  return (
    <>
      <header className={css.head}>
        <div className={css.title}>
          <h1>{title}</h1>
          <span className={css.quiet}>
            {trans.__('%1. Its jobs are yours, with the rights you have then.', jobTitle(asked, trans))}
          </span>
        </div>
      </header>
      {trouble !== null && <ErrorNote error={trouble} />}
      <form className={css.stack} onSubmit={event => void send(event)}>
        <Field label={trans.__('Name')}>
          <input value={name} maxLength={128} onChange={event => setName(event.target.value)} />
        </Field>
        <Field label={trans.__('How often')}>
          <select value={every} onChange={event => set({ every: event.target.value as Every })}>
            {EVERY.map(one => (
              <option key={one} value={one}>
                {everyName(one, trans)}
              </option>
            ))}
          </select>
        </Field>
        {every === 'week' && (
          <Field label={trans.__('On')}>
            <select value={times.weekday} onChange={event => set({ weekday: Number(event.target.value) })}>
              {weekdays(trans).map((day, number) => (
                <option key={day} value={number}>
                  {day}
                </option>
              ))}
            </select>
          </Field>
        )}
        {every === 'month' && (
          <Field label={trans.__('On day')} hint={trans.__('1 to 28, which every month has.')}>
            <input
              type="number"
              min={1}
              max={28}
              required
              value={times.day}
              onChange={event => set({ day: Number(event.target.value) })}
            />
          </Field>
        )}
        {every === 'other' ? (
          <Field
            label={trans.__('Cron line')}
            hint={trans.__('Minute, hour, day of the month, month, day of the week: 30 6 * * 1-5')}
          >
            <input
              className={css.mono}
              required
              value={times.line}
              onChange={event => set({ line: event.target.value })}
            />
          </Field>
        ) : (
          <Field
            label={trans.__('At')}
            hint={every === 'hour' ? trans.__('Only the minutes count.') : undefined}
          >
            <input
              type="time"
              required
              value={times.at}
              onChange={event => set({ at: event.target.value })}
            />
          </Field>
        )}
        <Field label={trans.__('On the clock of')}>
          <select value={timezone} onChange={event => setTimezone(event.target.value)}>
            {CLOCKS.map(one => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </Field>
        <div className={css.row}>
          <Button kind="primary" type="submit" disabled={busy}>
            {trans.__('Schedule')}
          </Button>
        </div>
        <SameAs code={callOf({ ...asked, cron, timezone, name })} />
      </form>
    </>
  );
}

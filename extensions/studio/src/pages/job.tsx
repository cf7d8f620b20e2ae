/** One job: its state, its curves and its log while it runs, and what came of it. */

import { useCallback, useEffect, useLayoutEffect, useRef, useState, type JSX } from 'react';
import type { Job } from '@nexus-workbench/contract';
import { StudioError } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import {
  Ago,
  Badge,
  Button,
  Curves,
  ErrorNote,
  Loading,
  SameAs,
  useLoad
} from '../parts/index.ts';
import {
  charts,
  duration,
  isActive,
  percent,
  person,
  references,
  type Told
} from '../state.ts';
import { jobTitle, referenceName } from '../titles.ts';
import { JobTerms } from './job-terms.tsx';
import { useTold } from './told.ts';
import { sameAs } from '../same.ts';
import { css } from '../tokens.ts';

function Clock({ job }: { job: Job }): JSX.Element {
  const [now, setNow] = useState(() => Date.now());
  const active = isActive(job);
  useEffect(() => {
    if (!active) {
      return;
    }
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [active]);
  return <>{duration(job.started_at, job.finished_at, now)}</>;
}

export default function JobPage({ studio, id, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const { data: job, error, reload } = useLoad(
    signal => studio.client.get('/api/v1/pipelines/jobs/{id}', { path: { id }, signal }),
    [studio, id]
  );
  const told = useTold(studio, id, reload);
  const [trouble, setTrouble] = useState<unknown>(null);
  const [asked, setAsked] = useState('');

  // A line about the state means that the job itself is another.
  useEffect(() => {
    if (told.state) {
      reload();
    }
  }, [told.state, reload]);

  const title = job ? jobTitle(job, trans) : '';
  useEffect(() => {
    if (title) {
      setTitle(title);
    }
  }, [title, setTitle]);

  const act = async (what: 'cancel' | 'retry'): Promise<void> => {
    setTrouble(null);
    setAsked(what);
    try {
      if (what === 'cancel') {
        await studio.client.post('/api/v1/pipelines:cancel', { id });
      } else {
        const again = await studio.client.post('/api/v1/pipelines:retry', { id });
        studio.open('job', again.id);
      }
    } catch (reason) {
      setTrouble(reason);
    } finally {
      setAsked(what === 'cancel' ? 'cancelled' : '');
      reload();
    }
  };

  if (!job) {
    return error ? <ErrorNote error={error} retry={reload} /> : <Loading retry={reload} />;
  }
  const active = isActive(job);
  const share = percent(Math.max(job.progress, told.progress ?? 0));
  const note = (active && told.note) || job.note;
  const mayWrite = studio.role() !== 'viewer';
  return (
    <>
      <header className={css.head}>
        <div className={css.title}>
          <h1>{title}</h1>
          <span className={css.quiet}>
            {trans.__('by %1', person(job.actor))} · <Ago at={job.made_at} />
          </span>
        </div>
        <Badge state={job.state} />
        {active && mayWrite && (
          <Button kind="danger" disabled={asked !== ''} onClick={() => void act('cancel')}>
            {asked ? trans.__('Stopping …') : trans.__('Stop')}
          </Button>
        )}
        {!active && mayWrite && (
          <Button
            onClick={() =>
              studio.open('schedule', '', {
                action: job.action,
                request: JSON.stringify(job.request)
              })
            }
          >
            {trans.__('Run on a schedule')}
          </Button>
        )}
        {(job.state === 'failed' || job.state === 'cancelled') && mayWrite && (
          <Button kind="primary" disabled={asked === 'retry'} onClick={() => void act('retry')}>
            {trans.__('Run again')}
          </Button>
        )}
      </header>
      {active && (
        <div role="status">
          <progress
            className={css.progress}
            max={100}
            {...(job.state === 'queued' ? {} : { value: share })}
            aria-label={trans.__('Progress')}
          />
          <p className={css.quiet}>
            {job.state === 'queued'
              ? job.note ||
                trans.__('Waiting for room to run. You may close this tab; the job goes on.')
              : trans.__('%1 % · %2', share, note || trans.__('working'))}
            {job.started_at && ' · '}
            <Clock job={job} />
          </p>
        </div>
      )}
      {trouble !== null && <ErrorNote error={trouble} />}
      {active && mayWrite && <JobTerms job={job} studio={studio} onChange={reload} />}
      {job.state === 'cancelled' && (
        <p className={css.note}>{trans.__('It was stopped. Nothing of it was kept.')}</p>
      )}
      {job.error && <JobError job={job} />}
      {job.state === 'done' && <Result job={job} studio={studio} />}
      <Figures told={told} active={active} studio={studio} />
      <Log told={told} active={active} studio={studio} />
      <section className={css.section}>
        <h2>{trans.__('What was asked')}</h2>
        <dl className={css.facts}>
          {Object.entries(job.request)
            .filter(([, value]) => value !== null && value !== '' && typeof value !== 'object')
            .map(([name, value]) => [
              <dt key={`${name}-name`}>{name.replaceAll('_', ' ')}</dt>,
              <dd key={name} className={css.mono}>
                {String(value)}
              </dd>
            ])}
          <dt>{trans.__('took')}</dt>
          <dd>
            <Clock job={job} />
          </dd>
          <dt>{trans.__('attempts')}</dt>
          <dd>
            {job.retries > 0
              ? trans.__('%1, tried again %2 of %3 times', job.attempt, job.failures, job.retries)
              : job.attempt}
          </dd>
          {job.timeout_s !== null && (
            <>
              <dt>{trans.__('longest attempt')}</dt>
              <dd>{trans.__('%1 min', Math.round((job.timeout_s / 60) * 10) / 10)}</dd>
            </>
          )}
          {job.priority !== 'normal' && (
            <>
              <dt>{trans.__('priority')}</dt>
              <dd>{job.priority === 'high' ? trans.__('high') : trans.__('low')}</dd>
            </>
          )}
          <dt>{trans.__('id')}</dt>
          <dd className={css.mono}>{job.id}</dd>
        </dl>
        <SameAs code={sameAs(job.action, job.request)} />
      </section>
    </>
  );
}

function JobError({ job }: { job: Job }): JSX.Element {
  const { detail, title, hint, status, trace } = job.error ?? {};
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const told = new StudioError(
    typeof status === 'number' ? status : 500,
    text(title),
    text(detail) || text(title) || job.state,
    text(hint),
    text(trace)
  );
  return <ErrorNote error={told} />;
}

function Result({ job, studio }: { job: Job; studio: PageProps['studio'] }): JSX.Element | null {
  const { trans } = studio;
  const found = references(job.result);
  if (found.length === 0) {
    return null;
  }
  return (
    <div className={css.note} data-kind="good">
      <p>
        <strong>{trans.__('Done. What came of it:')}</strong>
      </p>
      <div className={css.row}>
        {found.map(({ kind, id, page }) =>
          page ? (
            <Button key={kind} kind="primary" onClick={() => studio.open(page, id)}>
              {trans.__('Open the %1', referenceName(kind, trans))}
            </Button>
          ) : kind === 'notebook' ? (
            <Button
              key={kind}
              kind="primary"
              onClick={() => void studio.run('notebooks:open', { path: id, project: job.project })}
            >
              {trans.__('Open the %1', referenceName(kind, trans))}
            </Button>
          ) : (
            <span key={kind} className={css.mono}>{`${kind}: ${id}`}</span>
          )
        )}
      </div>
    </div>
  );
}

interface ToldProps {
  told: Told;
  active: boolean;
  studio: PageProps['studio'];
}

function Figures({ told, active, studio }: ToldProps): JSX.Element | null {
  const { trans } = studio;
  const groups = charts(told.series);
  if (groups.length === 0) {
    return null;
  }
  return (
    <section className={css.section}>
      <h2>{active ? trans.__('As it goes') : trans.__('How it went')}</h2>
      <div className={css.grid}>
        {groups.map(names => (
          <Curves
            key={names.join()}
            label={names.map(name => name.replaceAll('_', ' ')).join(', ')}
            xLabel={told.axis}
            series={names.map(name => ({
              name: name.replaceAll('_', ' '),
              points: told.series.get(name) ?? [],
              dashed: /^val/i.test(name)
            }))}
          />
        ))}
      </div>
    </section>
  );
}

function Log({ told, active, studio }: ToldProps): JSX.Element {
  const { trans } = studio;
  const box = useRef<HTMLDivElement>(null);
  const stick = useRef(true);
  const onScroll = useCallback(() => {
    const node = box.current;
    stick.current = !node || node.scrollHeight - node.scrollTop - node.clientHeight < 24;
  }, []);
  useLayoutEffect(() => {
    if (stick.current && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [told.seq]);
  return (
    <section className={css.section}>
      <h2>{trans.__('Log')}</h2>
      <div
        ref={box}
        className={css.log}
        role="log"
        aria-label={trans.__('Log of the job')}
        tabIndex={0}
        onScroll={onScroll}
      >
        {told.log.length === 0
          ? active
            ? trans.__('Nothing said yet.')
            : trans.__('It said nothing.')
          : told.log.map(line => (
              <div key={line.seq}>
                <time dateTime={line.at}>{new Date(line.at).toLocaleTimeString()}</time>
                {line.text}
              </div>
            ))}
      </div>
    </section>
  );
}

/** The sections of the panel. */

import { useId, type JSX, type ReactNode } from 'react';
import type { Client, Job, Model } from '@nexus-workbench/contract';
import { Ago } from '../parts/ago.tsx';
import { Button } from '../parts/form.tsx';
import { Outcome } from '../parts/outcome.tsx';
import { short } from '../parts/scale.ts';
import { Badge, Empty, ErrorNote, Loading } from '../parts/state.tsx';
import type { Loaded } from '../parts/load.ts';
import { useWords } from '../parts/words.ts';
import { isActive, percent, person, references, type Section } from '../state.ts';
import type { Studio } from '../studio.ts';
import { css } from '../tokens.ts';
import { jobTitle } from '../titles.ts';
import { LISTED, useInView, useList, type Listed } from './lists.ts';

export interface SectionProps {
  studio: Studio;
  open: boolean;
  toggle: (section: Section) => void;
}

const query = { query: { limit: LISTED } };
const askProducts = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/data/products', { ...query, signal });
const askGraphs = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/documents/documents', { ...query, signal });
const askModels = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/models/models', { ...query, signal });
/** Each has all that was tried in it: few at a time. */
const askStudies = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/models/studies', { query: { limit: 15 }, signal });
const askJobs = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/pipelines/jobs', { ...query, signal });
const askSchedules = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/pipelines/schedules', { ...query, signal });
const askReports = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/ethics/reports', { ...query, signal });
const askEvents = (client: Client, signal: AbortSignal) =>
  client.get('/api/v1/audit/events', { query: { limit: 12 }, signal });

interface FrameProps<T> extends SectionProps {
  section: Section;
  title: string;
  list: Loaded<Listed<T>>;
  empty: ReactNode;
  draw: (item: T) => ReactNode;
  keyOf: (item: T) => string;
  actions?: ReactNode;
  count?: boolean;
}

function Frame<T>(props: FrameProps<T>): JSX.Element {
  const { studio, section, title, list, open } = props;
  const id = useId();
  const ref = useInView<HTMLElement>(open && studio.section === section);
  const items = list.data?.items ?? [];
  const count = list.data ? `${items.length}${list.data.next ? '+' : ''}` : '';
  return (
    <section className="nx-Panel-section" ref={ref} data-section={section}>
      <h3>
        <button
          type="button"
          aria-expanded={open}
          aria-controls={id}
          onClick={() => props.toggle(section)}
        >
          <span className="nx-Panel-caret" aria-hidden="true" />
          <span>{title}</span>
          {props.count !== false && count && <span className="nx-Panel-count">{count}</span>}
        </button>
        {open && props.actions}
      </h3>
      <div id={id} hidden={!open}>
        {list.error && !list.data ? (
          <ErrorNote error={list.error} retry={list.reload} />
        ) : !list.data ? (
          <Loading retry={list.reload} />
        ) : items.length === 0 ? (
          props.empty
        ) : (
          <ul className={css.list}>
            {items.map(item => (
              <li key={props.keyOf(item)}>{props.draw(item)}</li>
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

function Item(props: {
  title: string;
  onClick: () => void;
  about: ReactNode;
  badge?: ReactNode;
  share?: number | null;
}): JSX.Element {
  return (
    <button type="button" className={css.item} onClick={props.onClick} title={props.title}>
      <span className="nx-Item-title">{props.title}</span>
      {props.badge}
      <span className="nx-Item-about">{props.about}</span>
      {typeof props.share === 'number' && (
        <progress className={css.progress} max={100} value={props.share} aria-label={props.title} />
      )}
    </button>
  );
}

export function DataSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'data', askProducts);
  const register = (
    <Button kind="link" onClick={() => studio.open('new-product')} disabled={!studio.mayWrite}>
      {trans.__('New')}
    </Button>
  );
  return (
    <Frame
      {...props}
      section="data"
      title={trans.__('Data')}
      list={list}
      actions={register}
      keyOf={product => product.id}
      empty={
        <Empty
          text={
            studio.mayWrite
              ? trans.__('No data yet. Drop a table here: CSV, Excel, Parquet, Arrow or JSON lines.')
              : trans.__('No data yet. An editor of the project can register some.')
          }
        />
      }
      draw={product => (
        <Item
          title={product.name}
          onClick={() => studio.open('product', product.id)}
          badge={<Badge state="version" text={trans.__('v%1', product.version)} />}
          about={trans.__('%1 rows, %2 columns', short(product.rows), product.columns.length)}
        />
      )}
    />
  );
}

export function GraphsSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'graphs', askGraphs);
  const names = new Map(list.data?.items.map(one => [one.id, one.name]));
  return (
    <Frame
      {...props}
      section="graphs"
      title={trans.__('Graphs')}
      list={list}
      keyOf={graph => graph.id}
      actions={
        <>
          <Button
            kind="link"
            onClick={() => studio.open('import-graph')}
            disabled={!studio.mayWrite}
          >
            {trans.__('Import…')}
          </Button>
          <Button kind="link" onClick={() => studio.open('new-graph')} disabled={!studio.mayWrite}>
            {trans.__('New')}
          </Button>
        </>
      }
      empty={
        <Empty
          text={trans.__('No graphs yet. A graph is a network that several people draw together.')}
        />
      }
      draw={graph => {
        const origin = names.get(graph.forked_from.split('@')[0]!);
        return (
          <Item
            title={graph.name}
            onClick={() => studio.open('graph', graph.id)}
            badge={graph.forked_from ? <Badge state="version" text={trans.__('fork')} /> : null}
            about={
              origin ? (
                trans.__('of %1', origin)
              ) : (
                <>
                  {person(graph.made_by)} · <Ago at={graph.made_at} />
                </>
              )
            }
          />
        );
      }}
    />
  );
}

/** The first figure of a model, the one it was chosen by. */
function figure(model: Model): string {
  const [first] = Object.entries(model.metrics);
  return first ? `${first[0].replaceAll('_', ' ')} ${short(first[1].value)}` : model.task;
}

export function ModelsSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'models', askModels);
  const several = (list.data?.items.length ?? 0) > 1;
  return (
    <Frame
      {...props}
      section="models"
      title={trans.__('Models')}
      list={list}
      keyOf={model => model.id}
      actions={
        <>
          {several && (
            <Button kind="link" onClick={() => studio.open('compare')}>
              {trans.__('Compare')}
            </Button>
          )}
          <Button kind="link" onClick={() => studio.open('train')} disabled={!studio.mayWrite}>
            {trans.__('Train')}
          </Button>
        </>
      }
      empty={<Empty text={trans.__('No models yet. Open a data product and train one on it.')} />}
      draw={model => (
        <Item
          title={model.name}
          onClick={() => studio.open('model', model.id)}
          badge={
            model.aliases.length > 0 ? (
              <Badge state={model.aliases[0]!} />
            ) : (
              <Badge state="version" text={trans.__('v%1', model.version)} />
            )
          }
          about={`${model.estimator} · ${figure(model)}`}
        />
      )}
    />
  );
}

export function StudiesSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'studies', askStudies);
  return (
    <Frame
      {...props}
      section="studies"
      title={trans.__('Searches')}
      list={list}
      keyOf={study => study.id}
      empty={
        <Empty
          text={trans.__('No searches yet. Train a model with more than one setting to try.')}
        />
      }
      draw={study => (
        <Item
          title={trans.__('%1 for %2', study.estimator, study.target)}
          onClick={() => studio.open('study', study.id)}
          badge={<Badge state="version" text={trans.__('%1 tried', study.trials.length)} />}
          about={<Ago at={study.made_at} />}
        />
      )}
    />
  );
}

export function JobsSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'jobs', askJobs);
  const live = new Map(studio.active.map(job => [job.id, job]));
  const about = (job: Job): ReactNode =>
    isActive(job) && job.note ? job.note : <Ago at={job.finished_at ?? job.made_at} />;
  return (
    <Frame
      {...props}
      section="jobs"
      title={trans.__('Jobs')}
      list={list}
      keyOf={job => job.id}
      empty={<Empty text={trans.__('No jobs yet. Training and assessing run here.')} />}
      draw={listed => {
        const job = isActive(listed) ? (live.get(listed.id) ?? listed) : listed;
        return (
          <Item
            title={jobTitle(job, trans)}
            onClick={() => studio.open('job', job.id)}
            badge={<Badge state={job.state} />}
            about={about(job)}
            share={isActive(job) ? percent(job.progress) : null}
          />
        );
      }}
    />
  );
}

export function SchedulesSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'schedules', askSchedules);
  return (
    <Frame
      {...props}
      section="schedules"
      title={trans.__('Schedules')}
      list={list}
      keyOf={schedule => schedule.id}
      empty={
        <Empty
          text={trans.__(
            'No schedules yet. Choose "Run on a Schedule" at a notebook or at a job that ran.'
          )}
        />
      }
      draw={schedule => (
        <Item
          title={schedule.name}
          onClick={() => studio.open('schedule', schedule.id)}
          badge={
            <Badge
              state={schedule.paused ? 'cancelled' : 'done'}
              text={schedule.paused ? trans.__('paused') : trans.__('on')}
            />
          }
          about={
            schedule.next_at
              ? trans.__('next %1', new Date(schedule.next_at).toLocaleString())
              : schedule.note || trans.__('paused')
          }
        />
      )}
    />
  );
}

export function ReportsSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'reports', askReports);
  return (
    <Frame
      {...props}
      section="reports"
      title={trans.__('Reports')}
      list={list}
      keyOf={report => report.id}
      empty={<Empty text={trans.__('No reports yet. Open a model and assess it.')} />}
      draw={report => (
        <Item
          title={report.name}
          onClick={() => studio.open('report', report.id)}
          badge={<Badge state={report.verdict} />}
          about={<Ago at={report.made_at} />}
        />
      )}
    />
  );
}

export function RecordSection(props: SectionProps): JSX.Element {
  const { studio } = props;
  const trans = useWords();
  const list = useList(studio, 'record', askEvents);
  return (
    <Frame
      {...props}
      section="record"
      title={trans.__('Record')}
      list={list}
      count={false}
      keyOf={event => event.id}
      actions={
        <Button kind="link" onClick={() => studio.open('record')}>
          {trans.__('All')}
        </Button>
      }
      empty={<Empty text={trans.__('Nothing has happened in this project yet.')} />}
      draw={event => {
        const [first] = references(event.refs);
        return (
          <Item
            title={event.action}
            onClick={() =>
              first?.page ? studio.open(first.page, first.id) : studio.open('record')
            }
            badge={<Outcome event={event} />}
            about={
              <>
                {person(event.actor)} · <Ago at={event.at} />
              </>
            }
          />
        );
      }}
    />
  );
}

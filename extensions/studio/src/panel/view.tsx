/** What is in the side panel: where one is, what is running, and the sections. */

import { useCallback, useEffect, useRef, useState, type DragEvent, type JSX } from 'react';
import { UseSignal } from '@jupyterlab/ui-components';
import { keepFile } from '../files.ts';
import { Button } from '../parts/form.tsx';
import { Badge, ErrorNote, Loading } from '../parts/state.tsx';
import { useWords } from '../parts/words.ts';
import { percent, type Section } from '../state.ts';
import type { Studio } from '../studio.ts';
import { css } from '../tokens.ts';
import { jobTitle, roleName } from '../titles.ts';
import {
  DataSection,
  GraphsSection,
  JobsSection,
  ModelsSection,
  RecordSection,
  ReportsSection,
  SchedulesSection,
  StudiesSection
} from './sections.tsx';

export default function View({ studio }: { studio: Studio }): JSX.Element {
  return (
    <UseSignal signal={studio.told}>
      {() =>
        studio.project() ? (
          <Shown studio={studio} />
        ) : studio.error ? (
          <ErrorNote error={studio.error} retry={() => void studio.start()} />
        ) : (
          <Loading retry={() => void studio.start()} />
        )
      }
    </UseSignal>
  );
}

const NEW = '+';

/** What is done on the Studio's own pages, which no page of a project can speak for. */
function Elsewhere({ studio }: { studio: Studio }): JSX.Element | null {
  const trans = useWords();
  const pages = studio.pages;
  const project = studio.project();
  if (!pages || !project) {
    return null;
  }
  const there = { target: '_blank', rel: 'noopener' };
  return (
    <nav className={css.row} aria-label={trans.__('The Studio')}>
      <a href={pages} {...there}>
        {trans.__('All projects')}
      </a>
      <a href={`${pages}projects/${project.id}/people`} {...there}>
        {studio.role() === 'owner' ? trans.__('Share') : trans.__('People')}
      </a>
    </nav>
  );
}

function Header({ studio }: { studio: Studio }): JSX.Element {
  const trans = useWords();
  const project = studio.project();
  const [first, ...rest] = studio.active;
  const choose = (value: string): void => {
    if (value === NEW) {
      void studio.run('projects:create_project');
    } else {
      void studio.run('studio:switch-project', { project: value });
    }
  };
  return (
    <header className="nx-Panel-head">
      <div className={css.row}>
        {studio.projects.length === 1 ? (
          <h2 className="nx-Panel-title">{project?.title || project?.name}</h2>
        ) : (
          <select
            className="nx-Panel-project"
            aria-label={trans.__('Project')}
            value={project?.id ?? ''}
            onChange={event => choose(event.target.value)}
          >
            {studio.projects.map(one => (
              <option key={one.id} value={one.id}>
                {one.title || one.name}
              </option>
            ))}
            <option value={NEW}>{trans.__('New project …')}</option>
          </select>
        )}
        <Badge state="role" text={roleName(studio.role(), trans)} />
      </div>
      <Elsewhere studio={studio} />
      <p className={css.quiet} aria-live="polite">
        {!studio.connected ? (
          <span data-kind="bad">{trans.__('The Studio does not answer; trying again.')}</span>
        ) : !first ? (
          trans.__('%1 · nothing is running', studio.actor)
        ) : (
          <Button kind="link" onClick={() => studio.open('job', first.id)}>
            {rest.length === 0
              ? trans.__('%1, %2 %', jobTitle(first, trans), percent(first.progress))
              : trans.__('%1 jobs are running', rest.length + 1)}
          </Button>
        )}
      </p>
    </header>
  );
}

/** Takes files that are dropped anywhere on the panel. */
function useDrop(studio: Studio): {
  over: boolean;
  take: (files: FileList | null) => void;
  handlers: Record<'onDragOver' | 'onDragLeave' | 'onDrop', (event: DragEvent) => void>;
} {
  const [over, setOver] = useState(false);
  const take = useCallback(
    (files: FileList | null) => {
      for (const file of files ?? []) {
        studio.open('new-product', '', { file: keepFile(file) });
      }
    },
    [studio]
  );
  const holdsFiles = (event: DragEvent): boolean =>
    studio.mayWrite && event.dataTransfer.types.includes('Files');
  return {
    over,
    take,
    handlers: {
      onDragOver: event => {
        if (holdsFiles(event)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = 'copy';
          setOver(true);
        }
      },
      onDragLeave: event => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) {
          setOver(false);
        }
      },
      onDrop: event => {
        setOver(false);
        if (holdsFiles(event)) {
          event.preventDefault();
          event.stopPropagation();
          take(event.dataTransfer.files);
        }
      }
    }
  };
}

const FIRST_OPEN: readonly Section[] = ['data', 'models', 'jobs'];

function Shown({ studio }: { studio: Studio }): JSX.Element {
  const trans = useWords();
  const [open, setOpen] = useState<ReadonlySet<Section>>(() => new Set(FIRST_OPEN));
  const { over, take, handlers } = useDrop(studio);
  const chooser = useRef<HTMLInputElement>(null);
  const { section } = studio;
  useEffect(() => {
    setOpen(before => new Set([...before, section]));
  }, [section]);
  const toggle = useCallback((wanted: Section) => {
    setOpen(before => {
      const after = new Set(before);
      if (!after.delete(wanted)) {
        after.add(wanted);
      }
      return after;
    });
  }, []);
  const props = (wanted: Section) => ({ studio, open: open.has(wanted), toggle });
  return (
    <div className={over ? `nx-Panel-body ${css.drop}` : 'nx-Panel-body'} {...handlers}>
      <Header studio={studio} />
      {studio.error && <ErrorNote error={studio.error} retry={() => void studio.start()} />}
      <div className="nx-Panel-sections">
        <DataSection {...props('data')} />
        <GraphsSection {...props('graphs')} />
        <ModelsSection {...props('models')} />
        <StudiesSection {...props('studies')} />
        <JobsSection {...props('jobs')} />
        <SchedulesSection {...props('schedules')} />
        <ReportsSection {...props('reports')} />
        <RecordSection {...props('record')} />
      </div>
      {studio.mayWrite && (
        <footer className="nx-Panel-foot">
          <input
            ref={chooser}
            type="file"
            hidden
            multiple
            aria-label={trans.__('A table from this computer')}
            onChange={event => {
              take(event.target.files);
              event.target.value = '';
            }}
          />
          <Button onClick={() => chooser.current?.click()}>
            {over ? trans.__('Drop it here') : trans.__('Drop a table, or choose one')}
          </Button>
        </footer>
      )}
    </div>
  );
}

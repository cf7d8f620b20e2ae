/** A model's graph, which the people of the project change together: drawn, trained, looked back at. */

import '@nexus-workbench/model-editor/style/editor.css';

import { useCallback, useEffect, useMemo, useState, type JSX, type ReactNode } from 'react';
import { GraphEditor, type EditorClient, type Session } from '@nexus-workbench/model-editor';
import type { Job } from '@nexus-workbench/contract';
import type { PageProps, StudioContext } from '../context.ts';
import { useLoad } from '../parts/index.ts';
import { isActive, type Told } from '../state.ts';
import { time } from '../tokens.ts';
import { GraphHistory } from './graph-history.tsx';
import { GraphVariants } from './graph-variants.tsx';
import { NodeFigures, RunFigures } from './graph-figures.tsx';
import { GraphTraining } from './graph-training.tsx';
import { figuresOf, runsOf, shownRun } from './graph.state.ts';
import { useTold } from './told.ts';

type Drawer = 'train' | 'history' | 'variants';

export default function Graph({ studio, id, setTitle }: PageProps): JSX.Element {
  const { client, trans } = studio;
  const [session, setSession] = useState<Session | null>(null);
  const [drawer, setDrawer] = useState<Drawer | null>(null);
  const asked = useMemo(
    (): EditorClient => ({
      layers: async signal => (await client.get('/api/v1/models/layers', { signal })).items,
      code: async signal =>
        (await client.get('/api/v1/documents/codes/{id}', { path: { id }, signal })).code,
      prepare: () => client.session()
    }),
    [client, id]
  );
  const runs = useRuns(studio, id);
  const [chosen, setChosen] = useState('');
  const shown = shownRun(runs.jobs, chosen);
  const told = useTold(studio, shown?.id ?? '', runs.reload);
  const figures = useMemo(() => figuresOf(told.series), [told.series]);
  const nodeExtra = useCallback((node: string) => <NodeFigures id={node} />, []);

  const drawers: [Drawer, string][] = [
    ['train', trans.__('Train')],
    ['history', trans.__('History')],
    ['variants', trans.__('Variants')]
  ];
  const open = (name: Drawer): void => setDrawer(old => (old === name ? null : name));
  const bottom: ReactNode = session && drawer && (
    <div className="nx-GraphDrawer" role="region" aria-label={drawers.find(([n]) => n === drawer)![1]}>
      {drawer === 'train' ? (
        <GraphTraining
          studio={studio}
          session={session}
          id={id}
          runs={runs.jobs}
          shown={shown}
          told={told}
          choose={setChosen}
          reload={runs.reload}
        />
      ) : drawer === 'history' ? (
        <GraphHistory studio={studio} id={id} session={session} />
      ) : (
        <GraphVariants studio={studio} id={id} session={session} />
      )}
    </div>
  );
  const toolbarEnd = (
    <>
      {shown && isActive(shown) && <Running job={shown} told={told} studio={studio} />}
      {drawers.map(([name, text]) => (
        <button
          key={name}
          type="button"
          aria-pressed={drawer === name}
          data-primary={name === 'train' || undefined}
          onClick={() => open(name)}
        >
          {text}
        </button>
      ))}
    </>
  );
  return (
    <div className="nx-GraphPage">
      <RunFigures.Provider value={figures}>
        <GraphEditor
          client={asked}
          base={client.base}
          project={studio.project()?.id ?? client.project}
          id={id}
          trans={trans}
          mayWrite={studio.role() !== 'viewer'}
          onTitle={setTitle}
          onSession={setSession}
          extra={{ toolbarEnd, bottom, nodeExtra }}
        />
      </RunFigures.Provider>
    </div>
  );
}

function Running(props: { job: Job; told: Told; studio: StudioContext }): JSX.Element {
  const { trans } = props.studio;
  const { note, progress } = props.told;
  return (
    <span className="nx-GraphRunning" role="status">
      <progress max={1} value={Math.max(progress ?? 0, props.job.progress)} aria-label={trans.__('Training')} />
      {note || trans.__('training …')}
    </span>
  );
}

/** The trainings of a document, asked for again whenever a job of the project begins or ends. */
function useRuns(studio: StudioContext, id: string): { jobs: Job[]; reload: () => void } {
  const { data, reload } = useLoad(
    signal => studio.client.get('/api/v1/pipelines/jobs', { query: { limit: 200 }, signal }),
    [studio.client]
  );
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = (_: unknown, event: { action: string }): void => {
      if (event.action.startsWith('models.') || event.action.startsWith('pipelines.')) {
        clearTimeout(timer);
        timer = setTimeout(reload, time.settle);
      }
    };
    studio.changed.connect(heard);
    return () => {
      clearTimeout(timer);
      studio.changed.disconnect(heard);
    };
  }, [studio, reload]);
  const jobs = useMemo(() => runsOf(data?.items ?? [], id), [data, id]);
  return { jobs, reload };
}


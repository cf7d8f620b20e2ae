/** Who changed what in a graph, and the way back. */

import { useEffect, useState, type JSX } from 'react';
import { useStore, type Session } from '@nexus-workbench/model-editor';
import type { StudioContext } from '../context.ts';
import { Ago, Button, Empty, ErrorNote, Loading, useLoad } from '../parts/index.ts';
import { person } from '../state.ts';
import { css, time } from '../tokens.ts';
import { seen } from './graph.state.ts';

const SHOWN = 6;

export function GraphHistory(props: {
  studio: StudioContext;
  id: string;
  session: Session;
}): JSX.Element {
  const { studio, id, session } = props;
  const { client, trans } = studio;
  const [limit, setLimit] = useState(20);
  const [error, setError] = useState<unknown>(null);
  const past = useLoad(
    signal => client.post('/api/v1/documents:history', { id, limit }, { signal }),
    [client, id, limit]
  );
  const { reload } = past;
  const graph = useStore(session.document.graph);
  useEffect(() => {
    const timer = setTimeout(reload, time.look);
    return () => clearTimeout(timer);
  }, [graph, reload]);
  const may = useStore(session.mayWrite);

  const restore = async (seq: number): Promise<void> => {
    setError(null);
    try {
      await client.post('/api/v1/documents:restore', { id, seq });
      reload();
    } catch (problem) {
      setError(problem);
    }
  };
  const variant = async (seq: number): Promise<void> => {
    setError(null);
    try {
      const made = await client.post('/api/v1/documents:fork', { id: `${id}@${seq}` });
      studio.open('graph', made.id);
    } catch (problem) {
      setError(problem);
    }
  };

  if (!past.data) {
    return past.error ? <ErrorNote error={past.error} retry={reload} /> : <Loading retry={reload} />;
  }
  if (past.data.items.length === 0) {
    return <Empty text={trans.__('Nothing has been changed yet.')} />;
  }
  return (
    <>
      {error !== null && <ErrorNote error={error} />}
      <ol className="nx-GraphPast" aria-label={trans.__('History, the newest first')}>
        {past.data.items.map((each, at) => {
          const changes = seen(each.changes);
          return (
            <li key={each.seq}>
              <div className={css.row}>
                <strong>
                  {each.actor.startsWith('project:')
                    ? trans.__('a notebook’s kernel')
                    : person(each.actor)}
                </strong>
                <span className={css.quiet}>
                  <Ago at={each.at} /> · {trans.__('edit %1', each.seq)}
                </span>
                {may && at > 0 && (
                  <Button kind="link" onClick={() => void restore(each.seq)}>
                    {trans.__('Restore')}
                  </Button>
                )}
                {may && (
                  <Button kind="link" onClick={() => void variant(each.seq)}>
                    {trans.__('Fork from here')}
                  </Button>
                )}
              </div>
              <ul>
                {changes.slice(0, SHOWN).map(change => (
                  <li key={change.key}>{change.sentence}</li>
                ))}
                {changes.length > SHOWN && (
                  <li className={css.quiet}>{trans.__('and %1 more', changes.length - SHOWN)}</li>
                )}
                {changes.length === 0 && (
                  <li className={css.quiet}>{trans.__('Layers were moved.')}</li>
                )}
              </ul>
            </li>
          );
        })}
      </ol>
      {past.data.next && (
        <Button onClick={() => setLimit(old => Math.min(200, old + 40))}>
          {trans.__('Show more')}
        </Button>
      )}
    </>
  );
}

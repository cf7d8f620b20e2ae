/** Forks of a graph: made, compared with what they came from, merged as a whole or in part. */

import { useState, type JSX } from 'react';
import { useStore, type Session } from '@nexus-workbench/model-editor';
import type { Merged } from '@nexus-workbench/contract';
import type { StudioContext } from '../context.ts';
import { Button, Empty, ErrorNote, Field, Loading, short, useLoad } from '../parts/index.ts';
import { css } from '../tokens.ts';
import { counted, moment, seen } from './graph.state.ts';

export function GraphVariants(props: {
  studio: StudioContext;
  id: string;
  session: Session;
}): JSX.Element {
  const { studio, id, session } = props;
  const { client, trans } = studio;
  const found = useLoad(
    signal => client.get('/api/v1/documents/documents/{id}', { path: { id }, signal }),
    [client, id]
  );
  const may = useStore(session.mayWrite);
  const [name, setName] = useState('');
  const [error, setError] = useState<unknown>(null);
  if (!found.data) {
    return found.error ? (
      <ErrorNote error={found.error} retry={found.reload} />
    ) : (
      <Loading retry={found.reload} />
    );
  }
  const { forked_from: origin, forks } = found.data;
  const fork = async (): Promise<void> => {
    setError(null);
    try {
      const made = await client.post('/api/v1/documents:fork', { id, name: name.trim() });
      setName('');
      found.reload();
      studio.open('graph', made.id);
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <div className="nx-GraphVariants">
      {origin && <Compared {...props} fork={id} into={moment(origin).id} title={trans.__('This fork')} />}
      {forks.map(each => (
        <Compared key={each.id} {...props} fork={each.id} into={id} title={each.name} />
      ))}
      {!origin && forks.length === 0 && (
        <Empty
          text={trans.__(
            'No variants yet. In a fork one tries something without disturbing the others; what turns out well is merged.'
          )}
        />
      )}
      {may && (
        <form
          className={css.row}
          onSubmit={event => {
            event.preventDefault();
            void fork();
          }}
        >
          <Field label={trans.__('A fork called')}>
            <input
              value={name}
              maxLength={120}
              placeholder={trans.__('wider, with dropout')}
              onChange={event => setName(event.target.value)}
            />
          </Field>
          <Button type="submit">{trans.__('Fork')}</Button>
        </form>
      )}
      {error !== null && <ErrorNote error={error} />}
    </div>
  );
}

interface ComparedProps {
  studio: StudioContext;
  id: string;
  session: Session;
  fork: string;
  into: string;
  title: string;
}

function Compared({ studio, id, session, fork, into, title }: ComparedProps): JSX.Element {
  const { client, trans } = studio;
  const may = useStore(session.mayWrite);
  const told = useLoad(
    signal => client.post('/api/v1/documents:compare', { id: fork }, { signal }),
    [client, fork]
  );
  const [left, setLeft] = useState<ReadonlySet<string>>(new Set());
  const [merged, setMerged] = useState<Merged | null>(null);
  const [error, setError] = useState<unknown>(null);
  const changes = seen(told.data?.changes ?? []);
  const counts = counted(changes);
  const merge = async (conflicts: 'keep' | 'take'): Promise<void> => {
    setError(null);
    try {
      const taken = (told.data?.changes ?? []).filter(change => !left.has(change.key));
      setMerged(
        await client.post('/api/v1/documents:merge', {
          id: fork,
          into,
          conflicts,
          changes: left.size > 0 ? taken.map(change => change.key) : null
        })
      );
      told.reload();
    } catch (problem) {
      setError(problem);
    }
  };
  const [before, after] = [told.data?.before.parameters, told.data?.after.parameters];
  return (
    <section className={css.card} aria-label={title}>
      <div className={css.row}>
        <strong>{title}</strong>
        <span className={css.quiet}>
          {trans.__('%1 added, %2 removed, %3 changed', counts.added, counts.removed, counts.changed)}
          {typeof before === 'number' &&
            typeof after === 'number' &&
            ` · ${trans.__('%1 → %2 parameters', short(before), short(after))}`}
        </span>
        <Button kind="link" onClick={() => studio.open('graph', fork === id ? into : fork)}>
          {fork === id ? trans.__('Open what it is a fork of') : trans.__('Open')}
        </Button>
      </div>
      {told.error && <ErrorNote error={told.error} retry={told.reload} />}
      <ul className="nx-GraphChanges">
        {changes.map(change => (
          <li key={change.key} data-kind={change.kind}>
            <label>
              {may && (
                <input
                  type="checkbox"
                  checked={!left.has(change.key)}
                  onChange={event => {
                    const next = new Set(left);
                    if (event.target.checked) {
                      next.delete(change.key);
                    } else {
                      next.add(change.key);
                    }
                    setLeft(next);
                  }}
                />
              )}
              <span aria-hidden="true">
                {{ added: '+', removed: '−', changed: '±' }[change.kind]}
              </span>
              {change.sentence}
            </label>
          </li>
        ))}
      </ul>
      {changes.length === 0 && told.data && (
        <p className={css.quiet}>{trans.__('Nothing in it differs from where it began.')}</p>
      )}
      {may && changes.length > 0 && (
        <div className={css.row}>
          <Button
            kind="primary"
            disabled={left.size === changes.length}
            onClick={() => void merge('keep')}
          >
            {left.size > 0
              ? trans.__('Merge the %1 chosen', changes.length - left.size)
              : trans.__('Merge')}
          </Button>
        </div>
      )}
      {merged && (
        <div className={css.note} role="status">
          <p>
            {trans._n('%1 change was taken over.', '%1 changes were taken over.', seen(merged.applied).length)}
          </p>
          {merged.conflicts.length > 0 && (
            <>
              <p>{trans.__('Both had changed these, so they were left:')}</p>
              <ul>
                {merged.conflicts.map(change => (
                  <li key={change.key}>{change.sentence}</li>
                ))}
              </ul>
              <Button onClick={() => void merge('take')}>
                {trans.__('Take the fork’s instead')}
              </Button>
            </>
          )}
        </div>
      )}
      {error !== null && <ErrorNote error={error} />}
    </section>
  );
}

/** Everything that happened in the project, newest first, and whether the record is whole. */

import { useCallback, useEffect, useRef, useState, type JSX } from 'react';
import type { Event, Verification } from '@nexus-workbench/contract';
import type { PageProps } from '../context.ts';
import {
  Button,
  Empty,
  ErrorNote,
  Field,
  Loading,
  SameAs,
  Table,
  useLoad
} from '../parts/index.ts';
import { Ago } from '../parts/ago.tsx';
import { Outcome } from '../parts/outcome.tsx';
import { sameAs } from '../same.ts';
import { person, references } from '../state.ts';
import { referenceName } from '../titles.ts';
import { css } from '../tokens.ts';

const AT_ONCE = 100;

export default function RecordPage({ studio, options, setTitle }: PageProps): JSX.Element {
  const { trans } = studio;
  const [events, setEvents] = useState<readonly Event[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [more, setMore] = useState<'no' | 'asking'>('no');
  const [trouble, setTrouble] = useState<unknown>(null);
  const [wanted, setWanted] = useState('');
  const first = useLoad(
    signal => studio.client.get('/api/v1/audit/events', { query: { limit: AT_ONCE }, signal }),
    [studio]
  );

  useEffect(() => setTitle(trans.__('Record')), [setTitle, trans]);
  useEffect(() => {
    if (first.data) {
      setEvents(first.data.items);
      setNext(first.data.next);
    }
  }, [first.data]);
  useEffect(() => {
    const heard = (_: unknown, event: Event): void =>
      setEvents(before => (before.some(one => one.id === event.id) ? before : [event, ...before]));
    studio.changed.connect(heard);
    return () => {
      studio.changed.disconnect(heard);
    };
  }, [studio]);

  const older = async (): Promise<void> => {
    setMore('asking');
    setTrouble(null);
    try {
      const page = await studio.client.get('/api/v1/audit/events', {
        query: { limit: AT_ONCE, after: next }
      });
      setEvents(before => [...before, ...page.items]);
      setNext(page.next);
    } catch (error) {
      setTrouble(error);
    } finally {
      setMore('no');
    }
  };

  const needle = wanted.trim().toLowerCase();
  const shown = events.filter(event =>
    `${event.action} ${event.actor} ${event.outcome} ${Object.values(event.refs).join(' ')}`
      .toLowerCase()
      .includes(needle)
  );
  return (
    <>
      <header className={css.head}>
        <h1 className={css.title}>{trans.__('Record')}</h1>
      </header>
      <p className={css.lead}>
        {trans.__(
          'Everything that changed something in this project. Each event carries the hash of the one before it, so that nothing can be changed or removed unnoticed.'
        )}
      </p>
      <Verify studio={studio} atOnce={options.verify === 'yes'} />
      <section className={css.section}>
        <div className="nx-Record-find">
          <Field label={trans.__('Find')} hint={trans.__('By action, person or id.')}>
            <input type="search" value={wanted} onChange={event => setWanted(event.target.value)} />
          </Field>
        </div>
        {first.error && !first.data ? (
          <ErrorNote error={first.error} retry={first.reload} />
        ) : !first.data ? (
          <Loading retry={first.reload} />
        ) : events.length === 0 ? (
          <Empty text={trans.__('Nothing has happened in this project yet.')} />
        ) : (
          <Table
            caption={trans.__('Events, newest first')}
            head={[
              { text: trans.__('No.'), number: true },
              trans.__('When'),
              trans.__('Who'),
              trans.__('What'),
              trans.__('Outcome'),
              trans.__('What came of it'),
              trans.__('Hash')
            ]}
            keys={shown.map(event => event.id)}
            rows={shown.map(event => [
              event.seq,
              <Ago key="at" at={event.at} />,
              person(event.actor),
              event.action,
              <Outcome key="outcome" event={event} />,
              <References key="refs" event={event} studio={studio} />,
              <code key="hash" title={event.hash}>
                {event.hash.replace('sha256:', '').slice(0, 10)}
              </code>
            ])}
          />
        )}
        {trouble !== null && <ErrorNote error={trouble} />}
        {next && (
          <p>
            <Button disabled={more === 'asking'} onClick={() => void older()}>
              {more === 'asking' ? trans.__('Loading …') : trans.__('Older events')}
            </Button>
          </p>
        )}
        <SameAs code={sameAs('audit.list_events', { limit: AT_ONCE })} />
      </section>
    </>
  );
}

function References({
  event,
  studio
}: {
  event: Event;
  studio: PageProps['studio'];
}): JSX.Element {
  return (
    <span className={css.row}>
      {references(event.refs).map(({ kind, id, page }) =>
        page ? (
          <Button key={kind} kind="link" title={id} onClick={() => studio.open(page, id)}>
            {referenceName(kind, studio.trans)}
          </Button>
        ) : (
          <span key={kind} title={id} className={css.quiet}>
            {referenceName(kind, studio.trans)}
          </span>
        )
      )}
    </span>
  );
}

function Verify({
  studio,
  atOnce
}: {
  studio: PageProps['studio'];
  atOnce: boolean;
}): JSX.Element {
  const { trans } = studio;
  const [busy, setBusy] = useState(false);
  const [found, setFound] = useState<Verification | null>(null);
  const [error, setError] = useState<unknown>(null);
  const verify = useCallback(async () => {
    setBusy(true);
    setError(null);
    try {
      setFound(await studio.client.post('/api/v1/audit:verify', {}));
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  }, [studio]);
  const began = useRef(false);
  useEffect(() => {
    if (atOnce && !began.current) {
      began.current = true;
      void verify();
    }
  }, [atOnce, verify]);
  return (
    <div className={css.stack}>
      <div className={css.row}>
        <Button kind="primary" disabled={busy} onClick={() => void verify()}>
          {busy ? trans.__('Verifying …') : trans.__('Verify')}
        </Button>
        <span className={css.quiet}>
          {trans.__('Computes every hash again and compares it with what was written.')}
        </span>
      </div>
      <div aria-live="polite">
        {error !== null && <ErrorNote error={error} retry={() => void verify()} />}
        {found && (
          <div className={css.note} data-kind={found.ok ? 'good' : 'bad'}>
            <p>
              <strong>{found.ok ? trans.__('The record is whole.') : trans.__('The record was changed.')}</strong>
            </p>
            <p>{found.sentence}</p>
            <p className={css.quiet}>
              {trans.__('Newest hash:')} <span className={css.mono}>{found.head}</span>
            </p>
            <SameAs code={sameAs('audit.verify', {})} />
          </div>
        )}
      </div>
    </div>
  );
}

/** How an event ended; a job that was queued then is not queued now. */

import type { JSX } from 'react';
import type { Event } from '@nexus-workbench/contract';
import { Badge } from './state.tsx';
import { useWords } from './words.ts';

export function Outcome({ event }: { event: Pick<Event, 'outcome'> }): JSX.Element {
  const trans = useWords();
  const outcome = event.outcome.toLowerCase();
  return outcome === 'queued' ? (
    <Badge state="begun" text={trans.__('begun')} />
  ) : (
    <Badge state={outcome} />
  );
}

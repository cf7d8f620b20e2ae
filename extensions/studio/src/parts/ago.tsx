/** When something happened, as a person says it. */

import { useEffect, useState, type JSX } from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';
import { age } from '../state.ts';
import { useWords } from './words.ts';

function say(trans: TranslationBundle, at: string, now: number): string {
  const { unit, count } = age(Date.parse(at), now);
  switch (unit) {
    case 'now':
      return trans.__('just now');
    case 'minutes':
      return trans._n('%1 minute ago', '%1 minutes ago', count);
    case 'hours':
      return trans._n('%1 hour ago', '%1 hours ago', count);
    case 'days':
      return trans._n('%1 day ago', '%1 days ago', count);
  }
}

/** @param at - ISO 8601. */
export function Ago({ at }: { at: string }): JSX.Element {
  const trans = useWords();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 30_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {say(trans, at, Math.max(now, Date.parse(at)))}
    </time>
  );
}

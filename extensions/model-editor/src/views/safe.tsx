/** Whether all that was changed here is on the service's disk. */

import { useEffect, type JSX } from 'react';
import { useHere, useStore } from './here.ts';

export function Safe(): JSX.Element {
  const { session, words } = useHere();
  const { connection, unsafe, synced } = useStore(session.room.state);
  useEffect(() => {
    if (unsafe === 0) {
      return;
    }
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener('beforeunload', warn);
    return () => window.removeEventListener('beforeunload', warn);
  }, [unsafe]);
  const state =
    unsafe > 0
      ? words._n('%1 change not yet safe', '%1 changes not yet safe', unsafe)
      : words.__('All changes are safe');
  return (
    <span
      className="nx-GraphSafe"
      role="status"
      data-safe={unsafe === 0}
      data-connection={connection}
    >
      <b aria-hidden="true">{unsafe > 0 ? '●' : '✓'} </b>
      {connection !== 'open' && synced
        ? words.__('%1 (not connected)', state)
        : state}
    </span>
  );
}

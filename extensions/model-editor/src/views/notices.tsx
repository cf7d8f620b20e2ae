/** What the service says to this window, and what this window says of its connection. */

import type { JSX } from 'react';
import { say } from '../state/graph.ts';
import type { Notice } from '../wire.ts';
import type { Words } from '../words.ts';
import { useHere, useStore } from './here.ts';

function said(notice: Notice, words: Words): { text: string; hint: string } {
  if (notice.kind === 'restored') {
    return {
      text: notice.text || words.__('The Studio went back to an earlier state, from a backup.'),
      hint: notice.hint || words.__('What this window has was added to it again: look whether all is as you want it.')
    };
  }
  if (notice.kind === 'closed') {
    return { text: notice.text || words.__('The Studio has closed this document.'), hint: notice.hint };
  }
  return notice;
}

export function Notices({ onReload }: { onReload: () => void }): JSX.Element {
  const { session, words } = useHere();
  const { connection, notices, unsafe, hello, synced } = useStore(session.room.state);
  const graph = useStore(session.document.graph);
  const refused = notices.some(each => each.kind === 'refused');
  return (
    <div className="nx-GraphNotices">
      {notices.map((notice, at) => {
        const { text, hint } = said(notice, words);
        return (
          <div key={at} className="nx-GraphNote" role="alert" data-kind={notice.kind}>
            <span>
              <strong>{text}</strong> {hint}
            </span>
            <button type="button" onClick={() => session.room.dismiss(notice)}>
              {words.__('Close')}
            </button>
          </div>
        );
      })}
      {refused && unsafe > 0 && (
        <div className="nx-GraphNote">
          <span>{words.__('What you changed since is only in this window.')}</span>
          <button type="button" onClick={onReload}>
            {words.__('Give it up and load the document again')}
          </button>
        </div>
      )}
      {(connection === 'waiting' || connection === 'closed') && (
        <div className="nx-GraphNote" role="status">
          <span>
            {connection === 'closed'
              ? words.__('This window is not connected.')
              : synced
                ? words.__('The connection is lost; it is tried again. You can go on: nothing is lost while this window is open.')
                : words.__('The Studio does not answer yet; it is tried again.')}
          </span>
          <button type="button" onClick={() => session.room.hurry()}>
            {words.__('Try now')}
          </button>
        </div>
      )}
      {synced && hello && !hello.may_write && (
        <p className="nx-GraphNote" role="status">
          {words.__('You may look at this graph, not change it.')}
        </p>
      )}
      {session.document.newer && (
        <p className="nx-GraphNote" role="status">
          {words.__('A later version of the Studio wrote this document (schema %1): it can be looked at here, not changed.', say(graph.meta.schema))}
        </p>
      )}
    </div>
  );
}

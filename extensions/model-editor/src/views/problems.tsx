/** What is wrong with the graph; choosing a problem shows where. */

import type { JSX } from 'react';
import { useHere, useStore } from './here.ts';

export function Problems(): JSX.Element {
  const { session, words } = useHere();
  const { problems, seq } = useStore(session.room.meaning);
  if (problems.length === 0) {
    return (
      <p className="nx-GraphEmpty">
        {seq < 0 ? words.__('The graph is not checked yet.') : words.__('Nothing is wrong with this graph.')}
      </p>
    );
  }
  return (
    <ul className="nx-GraphProblems">
      {problems.map(({ node, edge, text, hint }, at) => {
        const told = (
          <>
            {node && <b>{session.name(node)}: </b>}
            {text}
            {hint && <small>{hint}</small>}
          </>
        );
        return (
          <li key={`${node}/${edge}/${text}/${at}`}>
            {node || edge ? (
              <button
                type="button"
                onClick={() => {
                  if (node) {
                    session.go(node);
                  } else {
                    const ends = session.document.graph.get().edges.get(edge);
                    session.select({ edges: new Set([edge]) });
                    if (ends) {
                      session.reveal([ends.source, ends.target]);
                    }
                  }
                }}
              >
                {told}
              </button>
            ) : (
              <p>{told}</p>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** What a training tells of single layers, below their cards. */

import { createContext, memo, useContext, type JSX } from 'react';
import { short, useWords } from '../parts/index.ts';
import { spark, type NodeFigures as Figures } from './graph.state.ts';

export const RunFigures = createContext<Figures>(new Map());

/** In CSS pixels. */
const SPARK = { width: 56, height: 14 } as const;

export const NodeFigures = memo(function NodeFigures({ id }: { id: string }): JSX.Element | null {
  const trans = useWords();
  const found = useContext(RunFigures).get(id);
  if (!found || found.size === 0) {
    return null;
  }
  const names: Record<string, string> = {
    gradient: trans.__('gradient'),
    activation: trans.__('activation'),
    dead: trans.__('dead units')
  };
  const hints: Record<string, string> = {
    gradient: trans.__('The length of its weights’ gradient, after each epoch.'),
    activation: trans.__('The mean size of what leaves it, after each epoch.'),
    dead: trans.__('The share of its numbers that are zero for every row of a batch.')
  };
  return (
    <dl className="nx-GraphFigures">
      {[...found].map(([name, values]) => {
        const last = values.at(-1);
        return (
          last !== undefined && (
            <div key={name} title={hints[name]}>
              <dt>{names[name] ?? name}</dt>
              <dd>
                <svg {...SPARK} aria-hidden="true">
                  <path d={spark(values, SPARK.width, SPARK.height)} />
                </svg>
                {name === 'dead' ? `${Math.round(last * 100)} %` : short(last)}
              </dd>
            </div>
          )
        );
      })}
    </dl>
  );
});

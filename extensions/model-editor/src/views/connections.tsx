/** What a layer is connected to, and the way to connect it without a mouse. */

import { useId, useMemo, useState, type JSX } from 'react';
import { edgeId, type GraphEdge, type GraphNode } from '../document.ts';
import { called, targets } from '../state/graph.ts';
import { useHere, useStore } from './here.ts';

export function Connections({ node }: { node: GraphNode }): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const layers = useStore(session.layers);
  const writable = useStore(session.mayWrite);
  const [wanted, setWanted] = useState('');
  const id = useId();
  const edges = [...graph.edges.values()];
  const comes = edges
    .filter(edge => edge.target === node.id)
    .sort((a, b) => a.port.localeCompare(b.port) || a.order - b.order || a.id.localeCompare(b.id));
  const goes = edges.filter(edge => edge.source === node.id);
  const open = useMemo(
    () => (writable ? targets(graph, layers ?? new Map(), node.id) : []),
    [writable, graph, layers, node.id]
  );
  const layer = layers?.get(node.layer);
  const name = (of: string): string => {
    const other = graph.nodes.get(of);
    return other ? called(other) : of;
  };
  const several = (count: number | undefined): boolean => (count ?? 0) > 1;
  const chosen = open.find(each => edgeId(each) === wanted) ?? open[0];

  const row = (edge: GraphEdge, text: string, at = -1, all: readonly GraphEdge[] = []): JSX.Element => (
    <li key={edge.id}>
      <button
        type="button"
        className="nx-GraphLink"
        onClick={() => session.go(edge.source === node.id ? edge.target : edge.source)}
      >
        {text}
      </button>
      {writable && at > 0 && (
        <button
          type="button"
          aria-label={words.__('%1 comes earlier', text)}
          onClick={() => reorder(all, at)}
        >
          ↑
        </button>
      )}
      {writable && (
        <button
          type="button"
          aria-label={words.__('Disconnect %1', text)}
          onClick={() => session.disconnect(edge.id)}
        >
          ×
        </button>
      )}
    </li>
  );

  /** Let one come before the one above it: all of the port are numbered anew. */
  const reorder = (all: readonly GraphEdge[], at: number): void => {
    const order = [...all];
    [order[at - 1], order[at]] = [order[at]!, order[at - 1]!];
    session.document.change(() => {
      for (const [place, edge] of order.entries()) {
        session.document.setOrder(edge.id, place);
      }
    });
  };

  return (
    <section className="nx-GraphConnections" aria-label={words.__('Connections')}>
      <h3>{words.__('Connections')}</h3>
      {comes.length > 0 && (
        <>
          <p>{words.__('Comes from')}</p>
          <ul>
            {comes.map(edge => {
              const same = comes.filter(each => each.port === edge.port);
              return row(
                edge,
                several(layer?.ports.length) ? `${name(edge.source)} → ${edge.port}` : name(edge.source),
                same.length > 1 ? same.indexOf(edge) : -1,
                same
              );
            })}
          </ul>
        </>
      )}
      {goes.length > 0 && (
        <>
          <p>{words.__('Goes to')}</p>
          <ul>
            {goes.map(edge =>
              row(
                edge,
                several(layers?.get(graph.nodes.get(edge.target)?.layer ?? '')?.ports.length)
                  ? `${name(edge.target)} (${edge.port})`
                  : name(edge.target)
              )
            )}
          </ul>
        </>
      )}
      {comes.length + goes.length === 0 && <p>{words.__('It is connected to nothing.')}</p>}
      {writable && open.length > 0 && chosen && (
        <div className="nx-GraphConnections-new">
          <label htmlFor={id}>{words.__('Connect to')}</label>
          <select id={id} value={edgeId(chosen)} onChange={event => setWanted(event.target.value)}>
            {open.map(each => (
              <option key={edgeId(each)} value={edgeId(each)}>
                {[
                  name(each.target),
                  several(layers?.get(graph.nodes.get(each.target)?.layer ?? '')?.ports.length) &&
                    `(${each.port})`,
                  several(layer?.outputs.length) && words.__('from %1', each.output)
                ]
                  .filter(Boolean)
                  .join(' ')}
              </option>
            ))}
          </select>
          <button type="button" onClick={() => session.connect(chosen)}>
            {words.__('Connect')}
          </button>
        </div>
      )}
    </section>
  );
}

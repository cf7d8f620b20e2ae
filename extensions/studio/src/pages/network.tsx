/** A graph drawn left to right, and its hidden layers as a form. */

import type { JSX } from 'react';
import type { Graph } from '@nexus-workbench/contract';
import { Button, Table, useWords } from '../parts/index.ts';
import { colour, css } from '../tokens.ts';
import { addHidden, drawing, maySkip, withHidden, type Drawn, type Hidden } from './train.state.ts';

/** In CSS pixels. */
const BOX = { width: 108, height: 56, gapX: 34, gapY: 40, bow: 26, pad: 8 } as const;

export function Network({ graph, ends }: { graph: Graph; ends: [string, string] }): JSX.Element {
  const trans = useWords();
  const nodes = drawing(graph);
  const places = new Map(nodes.map(node => [node.id, node]));
  const columns = 1 + Math.max(0, ...nodes.map(node => node.column));
  const rows = 1 + Math.max(0, ...nodes.map(node => node.row));
  const passes = (from: Drawn, to: Drawn): boolean =>
    to.column - from.column > 1 && from.row === to.row;
  const bow = Object.values(graph.edges).some(edge => {
    const [from, to] = [places.get(edge.source), places.get(edge.target)];
    return from && to && passes(from, to);
  })
    ? BOX.bow
    : 0;
  const left = (node: Drawn): number => BOX.pad + node.column * (BOX.width + BOX.gapX);
  const middle = (node: Drawn): number =>
    BOX.pad + bow + node.row * (BOX.height + BOX.gapY) + BOX.height / 2;
  const width = 2 * BOX.pad + columns * BOX.width + (columns - 1) * BOX.gapX;
  const height = 2 * BOX.pad + bow + rows * BOX.height + (rows - 1) * BOX.gapY;
  const size = (node: Drawn): string =>
    node.layer === 'input'
      ? ends[0]
      : node.layer === 'output'
        ? ends[1]
        : node.detail || (node.size === null ? '' : trans.__('%1 numbers', node.size));
  const told = nodes.map(node => `${node.id} ${size(node)}`.trim()).join(', ');
  return (
    <figure className="nx-Network">
      <div className={css.scroll} tabIndex={0} role="group" aria-label={trans.__('The graph')}>
        <svg
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label={trans.__('The graph, from left to right: %1', told)}
        >
          {Object.entries(graph.edges).map(([id, edge]) => {
            const from = places.get(edge.source);
            const to = places.get(edge.target);
            if (!from || !to) {
              return null;
            }
            const [x1, y1, x2, y2] = [left(from) + BOX.width, middle(from), left(to), middle(to)];
            // One that passes over others goes above them.
            const over = passes(from, to);
            const top = y1 - BOX.height / 2;
            const path = over
              ? `M${x1 - BOX.width / 2} ${top} C${x1} ${top - bow} ${x2} ${top - bow} ${x2 + BOX.width / 2} ${top}`
              : `M${x1} ${y1} C${x1 + BOX.gapX / 2} ${y1} ${x2 - BOX.gapX / 2} ${y2} ${x2} ${y2}`;
            return <path key={id} d={path} fill="none" stroke={colour.quiet} strokeWidth={1.5} />;
          })}
          {nodes.map(node => (
            <g key={node.id} transform={`translate(${left(node)} ${middle(node) - BOX.height / 2})`}>
              <rect
                width={BOX.width}
                height={BOX.height}
                rx={6}
                fill={colour.ground}
                stroke={node.size !== null && node.layer === 'dense' ? colour.brand : colour.line}
                strokeWidth={1.5}
              />
              <text x={BOX.width / 2} y={22} textAnchor="middle" className="nx-Network-name">
                {node.id.length > 14 ? `${node.id.slice(0, 13)}…` : node.id}
              </text>
              <text x={BOX.width / 2} y={41} textAnchor="middle" className="nx-Network-size">
                {size(node)}
              </text>
              <title>{`${node.id}: ${node.layer} ${size(node)}`}</title>
            </g>
          ))}
        </svg>
      </div>
    </figure>
  );
}

/** The hidden layers, one a row; changing one makes a new graph. */
export function HiddenLayers({
  graph,
  hidden,
  activations,
  onChange
}: {
  graph: Graph;
  hidden: Hidden[];
  activations: readonly string[];
  onChange: (graph: Graph) => void;
}): JSX.Element {
  const trans = useWords();
  const put = (layers: Hidden[]): void => onChange(withHidden(graph, layers));
  const change = (at: number, part: Partial<Hidden>): void =>
    put(hidden.map((layer, index) => (index === at ? { ...layer, ...part } : layer)));
  return (
    <div className={css.stack}>
      <Table
        caption={trans.__('Hidden layers')}
        rowHeadings
        head={[
          trans.__('Layer'),
          trans.__('Units'),
          trans.__('Activation'),
          trans.__('Dropout'),
          trans.__('Adds its input'),
          ''
        ]}
        rows={hidden.map((layer, at) => [
          at + 1,
          <input
            key="units"
            className={css.input}
            type="number"
            min={1}
            max={16384}
            step={1}
            aria-label={trans.__('Units of layer %1', at + 1)}
            value={layer.units}
            onChange={event =>
              change(at, {
                units: Math.min(16384, Math.max(1, Math.round(Number(event.target.value)) || 1))
              })
            }
          />,
          <select
            key="activation"
            className={css.input}
            aria-label={trans.__('Activation of layer %1', at + 1)}
            value={layer.activation}
            onChange={event => change(at, { activation: event.target.value })}
          >
            <option value="">{trans.__('none')}</option>
            {activations.map(name => (
              <option key={name}>{name}</option>
            ))}
          </select>,
          <input
            key="dropout"
            className={css.input}
            type="number"
            min={0}
            max={0.9}
            step={0.05}
            aria-label={trans.__('Dropout of layer %1', at + 1)}
            value={layer.dropout}
            onChange={event =>
              change(at, { dropout: Math.min(0.9, Math.max(0, Number(event.target.value) || 0)) })
            }
          />,
          <input
            key="skip"
            type="checkbox"
            aria-label={trans.__('Layer %1 adds its input', at + 1)}
            title={
              maySkip(hidden, at) ? '' : trans.__('Only after a layer with as many units as this.')
            }
            disabled={!maySkip(hidden, at)}
            checked={layer.skip && maySkip(hidden, at)}
            onChange={event => change(at, { skip: event.target.checked })}
          />,
          <Button
            key="remove"
            aria-label={trans.__('Remove layer %1', at + 1)}
            onClick={() => put(hidden.filter((_, index) => index !== at))}
          >
            {trans.__('Remove')}
          </Button>
        ])}
      />
      <div className={css.row}>
        <Button disabled={hidden.length >= 12} onClick={() => put(addHidden(hidden))}>
          {trans.__('Add a hidden layer')}
        </Button>
      </div>
    </div>
  );
}

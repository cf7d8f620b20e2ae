/** How a layer, a group's frame and a folded group look on the canvas. */

import { memo, type JSX } from 'react';
import { Handle, Position, type NodeProps } from '@xyflow/react';
import type { Watcher } from '../session.ts';
import { portLeft, type CardNode, type FoldNode, type FrameNode } from '../state/drawing.ts';
import { brief, called, kind, shapes, short } from '../state/graph.ts';
import { painted, useHere } from './here.ts';

function Watchers({ of }: { of: readonly Watcher[] | undefined }): JSX.Element | null {
  return of && of.length > 0 ? (
    <div className="nx-GraphNode-people">
      {of.map(each => (
        <span key={each.client} style={painted(each.color)}>
          {each.name}
        </span>
      ))}
    </div>
  ) : null;
}

function Amount({ of }: { of: number }): JSX.Element {
  const { words } = useHere();
  return <span>{words._n('%2 parameter', '%2 parameters', of, short(of))}</span>;
}

export const Card = memo(function Card({ id, data, selected }: NodeProps<CardNode>): JSX.Element {
  const { words, nodeExtra } = useHere();
  const { node, layer, meaning, ports, watchers, writable } = data;
  const problem = meaning?.problem ?? '';
  const leaves = shapes(meaning);
  const several = ports.inputs.length > 1 || ports.outputs.length > 1;
  const about = (list: readonly { name: string; meaning?: string }[] | undefined, name: string): string =>
    [name, list?.find(each => each.name === name)?.meaning].filter(Boolean).join(': ');
  return (
    <div
      className="nx-GraphNode"
      data-selected={selected || undefined}
      data-problem={problem ? true : undefined}
      data-group={layer?.group}
      style={watchers?.[0] ? painted(watchers[0].color) : undefined}
      data-watched={watchers ? true : undefined}
    >
      <Watchers of={watchers} />
      <div className="nx-GraphNode-head">
        <strong title={id}>{called(node)}</strong>
        <span>{kind(node, layer)}</span>
      </div>
      <div className="nx-GraphNode-params">{brief(node, layer) || ' '}</div>
      <div className="nx-GraphNode-foot">
        {leaves && <span title={words.__('What leaves it')}>{leaves}</span>}
        {problem ? (
          <span
            className="nx-GraphNode-problem"
            title={[problem, meaning?.hint].filter(Boolean).join(' ')}
          >
            <b aria-hidden="true">⚠ </b>
            {problem}
          </span>
        ) : meaning?.parameters ? (
          <Amount of={meaning.parameters} />
        ) : null}
      </div>
      {ports.inputs.map((name, at, all) => (
        <Handle
          key={name}
          type="target"
          position={Position.Top}
          id={name}
          isConnectable={writable}
          style={{ left: portLeft(at, all.length) }}
          title={about(layer?.ports, name)}
        >
          {several && <span className="nx-GraphNode-port">{name}</span>}
        </Handle>
      ))}
      {ports.outputs.map((name, at, all) => (
        <Handle
          key={name}
          type="source"
          position={Position.Bottom}
          id={name}
          isConnectable={writable}
          style={{ left: portLeft(at, all.length) }}
          title={about(layer?.outputs, name)}
        >
          {several && <span className="nx-GraphNode-port">{name}</span>}
        </Handle>
      ))}
      {nodeExtra && <div className="nx-GraphNode-extra">{nodeExtra(id)}</div>}
    </div>
  );
});

export const Frame = memo(function Frame({ data, selected }: NodeProps<FrameNode>): JSX.Element {
  const { session, words } = useHere();
  const { group, count, watchers, writable } = data;
  return (
    <div
      className="nx-GraphFrame"
      data-selected={selected || undefined}
      style={watchers?.[0] ? painted(watchers[0].color) : undefined}
      data-watched={watchers ? true : undefined}
    >
      <div className="nx-GraphFrame-head">
        <strong>{group.name || group.id}</strong>
        <span>{words._n('%1 layer', '%1 layers', count)}</span>
        {writable && (
          <button
            type="button"
            className="nodrag"
            tabIndex={-1}
            onClick={() => session.document.fold(group.id, true)}
          >
            {words.__('Fold')}
          </button>
        )}
      </div>
    </div>
  );
});

export const Fold = memo(function Fold({ data, selected }: NodeProps<FoldNode>): JSX.Element {
  const { session, words } = useHere();
  const { group, count, parameters, problems, watchers, writable } = data;
  return (
    <div
      className="nx-GraphNode nx-GraphFold"
      data-selected={selected || undefined}
      data-problem={problems > 0 || undefined}
      style={watchers?.[0] ? painted(watchers[0].color) : undefined}
      data-watched={watchers && watchers.length > 0 ? true : undefined}
    >
      <Watchers of={watchers} />
      <Handle type="target" position={Position.Top} id="in" isConnectable={false} />
      <div className="nx-GraphNode-head">
        <strong>{group.name || group.id}</strong>
        {writable && (
          <button
            type="button"
            className="nodrag"
            tabIndex={-1}
            onClick={() => session.document.fold(group.id, false)}
          >
            {words.__('Unfold')}
          </button>
        )}
      </div>
      <div className="nx-GraphNode-foot">
        <span>{words._n('%1 layer', '%1 layers', count)}</span>
        {parameters > 0 && <Amount of={parameters} />}
        {problems > 0 && (
          <span className="nx-GraphNode-problem">
            <b aria-hidden="true">⚠ </b>
            {words._n('%1 problem', '%1 problems', problems)}
          </span>
        )}
      </div>
      <Handle type="source" position={Position.Bottom} id="out" isConnectable={false} />
    </div>
  );
});

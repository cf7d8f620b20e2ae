/** The graph as a tree that a keyboard and a screen reader go through: the canvas's twin. */

import { memo, useEffect, useMemo, useRef, useState, type JSX, type KeyboardEvent } from 'react';
import type { NodeMeaning, Layer } from '../wire.ts';
import { brief, called, kind, shapes } from '../state/graph.ts';
import { outline, type Item } from '../state/outline.ts';
import { Connections } from './connections.tsx';
import { useHere, useStore } from './here.ts';

export function Outline(): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const selection = useStore(session.selection);
  const layers = useStore(session.layers);
  const meaning = useStore(session.room.meaning);
  const writable = useStore(session.mayWrite);
  const tree = useRef<HTMLUListElement>(null);
  const [at, setAt] = useState('');
  const { nodes, edges, groups } = graph;
  const items = useMemo(() => outline({ nodes, edges, groups }), [nodes, edges, groups]);
  const [chosen] = selection.nodes;
  const current = items.some(item => item.id === at) ? at : (items[0]?.id ?? '');

  // What is chosen elsewhere is where the keyboard goes on here.
  useEffect(() => {
    if (chosen !== undefined) {
      setAt(chosen);
      tree.current
        ?.querySelector(`[data-id="${CSS.escape(chosen)}"]`)
        ?.scrollIntoView({ block: 'nearest' });
    }
  }, [chosen]);

  const focus = (id: string | undefined): void => {
    if (id) {
      setAt(id);
      tree.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`)?.focus();
    }
  };

  const choose = (item: Item, more: boolean): void => {
    if (item.kind === 'group') {
      session.select({ groups: new Set([item.id]) });
    } else if (more) {
      session.toggle(item.id);
    } else {
      session.go(item.id);
    }
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const place = items.findIndex(item => item.id === current);
    const item = items[place];
    if (!item) {
      return;
    }
    const parent = item.kind === 'node' ? item.node.group : item.group.parent;
    const folds = item.kind === 'group' && writable;
    switch (event.key) {
      case 'ArrowDown':
        focus(items[place + 1]?.id);
        break;
      case 'ArrowUp':
        focus(items[place - 1]?.id);
        break;
      case 'Home':
        focus(items[0]?.id);
        break;
      case 'End':
        focus(items.at(-1)?.id);
        break;
      case 'ArrowRight':
        if (folds && item.group.folded) {
          session.document.fold(item.id, false);
        } else if (item.kind === 'group') {
          focus(items[place + 1]?.id);
        }
        break;
      case 'ArrowLeft':
        if (folds && !item.group.folded) {
          session.document.fold(item.id, true);
        } else {
          focus(parent || undefined);
        }
        break;
      case 'Enter':
        choose(item, false);
        break;
      case ' ':
        choose(item, true);
        break;
      default:
        return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const node = chosen === undefined ? undefined : graph.nodes.get(chosen);
  return (
    <div className="nx-GraphOutline">
      {items.length === 0 ? (
        <p className="nx-GraphEmpty">{words.__('There are no layers yet.')}</p>
      ) : (
        <ul
          ref={tree}
          role="tree"
          aria-label={words.__('Layers in the order in which they compute')}
          aria-multiselectable="true"
          onKeyDown={onKeyDown}
        >
          {items.map(item => (
            <Row
              key={item.id}
              item={item}
              layer={item.kind === 'node' ? layers?.get(item.node.layer) : undefined}
              meaning={meaning.nodes.get(item.id)}
              selected={selection.nodes.has(item.id) || selection.groups.has(item.id)}
              current={item.id === current}
              onChoose={choose}
              onFocus={setAt}
            />
          ))}
        </ul>
      )}
      {node && (
        <>
          <h2>{called(node)}</h2>
          <Connections node={node} />
        </>
      )}
      {writable && selection.nodes.size + selection.groups.size > 0 && (
        <div className="nx-GraphRow">
          <button type="button" onClick={() => session.removeSelected()}>
            {words.__('Remove')}
          </button>
        </div>
      )}
    </div>
  );
}

interface RowProps {
  item: Item;
  layer: Layer | undefined;
  meaning: NodeMeaning | undefined;
  selected: boolean;
  current: boolean;
  onChoose: (item: Item, more: boolean) => void;
  onFocus: (id: string) => void;
}

const Row = memo(
  function Row(props: RowProps): JSX.Element {
    const { item, layer, meaning, selected, current, onChoose, onFocus } = props;
    const { words } = useHere();
    const problem = meaning?.problem ?? '';
    return (
      <li
        role="treeitem"
        data-id={item.id}
        tabIndex={current ? 0 : -1}
        aria-level={item.level}
        aria-selected={selected}
        {...(item.kind === 'group' ? { 'aria-expanded': !item.group.folded } : {})}
        style={{ paddingInlineStart: `${item.level}em` }}
        onClick={event => onChoose(item, event.shiftKey || event.ctrlKey || event.metaKey)}
        onFocus={() => onFocus(item.id)}
      >
        {item.kind === 'group' ? (
          <>
            <strong>{item.group.name || item.id}</strong>{' '}
            <span>
              {words._n('group of %1 layer', 'group of %1 layers', item.count)}
              {item.group.folded && `, ${words.__('folded')}`}
            </span>
          </>
        ) : (
          <>
            <strong>{called(item.node)}</strong>{' '}
            <span>
              {[kind(item.node, layer), brief(item.node, layer), shapes(meaning)]
                .filter(Boolean)
                .join(' · ')}
            </span>
            {problem && (
              <>
                {' '}
                <em>{words.__('Problem: %1', problem)}</em>
              </>
            )}
          </>
        )}
      </li>
    );
  },
  // What a row does is the same whichever function does it.
  (old, now) =>
    sameItem(old.item, now.item) &&
    old.layer === now.layer &&
    old.meaning === now.meaning &&
    old.selected === now.selected &&
    old.current === now.current
);

function sameItem(old: Item, now: Item): boolean {
  if (old.kind === 'node') {
    return now.kind === 'node' && old.node === now.node && old.level === now.level;
  }
  return (
    now.kind === 'group' &&
    old.group === now.group &&
    old.level === now.level &&
    old.count === now.count
  );
}

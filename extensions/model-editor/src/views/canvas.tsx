/** The canvas: the graph drawn, moved and connected, with the others' pointers on it. */

import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  type DragEvent,
  type JSX,
  type KeyboardEvent
} from 'react';
import {
  Background,
  Controls,
  MiniMap,
  Panel,
  ReactFlow,
  ViewportPortal,
  useReactFlow,
  useViewport,
  type Connection as Wire,
  type EdgeChange,
  type FinalConnectionState,
  type NodeChange
} from '@xyflow/react';
import type { Ends, Place } from '../document.ts';
import { Connection } from './line.tsx';
import { paced } from '../pace.ts';
import { beside, called, kind, members, shapes, whyNot, type Direction } from '../state/graph.ts';
import { Drawing, groupOf, type Drawn, type Line } from '../state/drawing.ts';
import { size, time } from '../tokens.ts';
import { painted, useHere, useStore } from './here.ts';
import { Card, Fold, Frame } from './node.tsx';

const EDGE_TYPES = { default: Connection };
const NODE_TYPES = { card: Card, frame: Frame, fold: Fold };
const ARROWS: Partial<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down'
};
const STILL: ReadonlyMap<string, Place> = new Map();

/** What a layer is called while it is dragged from the palette. */
export const DRAGGED = 'application/x-nexus-layer';

export function Canvas(): JSX.Element {
  const { session, words } = useHere();
  const graph = useStore(session.document.graph);
  const meaning = useStore(session.room.meaning);
  const layers = useStore(session.layers);
  const selection = useStore(session.selection);
  const watched = useStore(session.watched);
  const writable = useStore(session.mayWrite);
  const following = useStore(session.following);
  const flow = useReactFlow<Drawn, Line>();
  const frame = useRef<HTMLDivElement>(null);
  const [drawing] = useState(() => new Drawing());
  const [dragged, setDragged] = useState<ReadonlyMap<string, Place>>(STILL);
  const start = useRef<{ frames: Map<string, Place>; members: Map<string, Place> } | null>(null);
  const gesture = useRef(0);

  const ports = useMemo(
    () => session.ports(),
    // They follow from these two.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [session, graph.nodes, graph.edges, layers]
  );
  const places = useMemo(
    () => session.places(),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [session, graph, layers]
  );
  const nodes = useMemo(
    () =>
      drawing.nodes({
        graph,
        places,
        dragged,
        ports,
        layers: layers ?? new Map(),
        meaning,
        selection,
        watched,
        writable,
        sizeOf: each => session.sizeOf(each)
      }),
    [drawing, graph, places, dragged, ports, layers, meaning, selection, watched, writable, session]
  );
  const edges = useMemo(
    () => drawing.edges({ graph, meaning, selection }),
    [drawing, graph, meaning, selection]
  );

  // --- Where one looks ---------------------------------------------------------------------

  const middle = useCallback((): Place => {
    const box = frame.current?.getBoundingClientRect();
    if (!box) {
      return [0, 0];
    }
    const { x, y } = flow.screenToFlowPosition(
      { x: box.left + box.width / 2, y: box.top + box.height / 2 },
      { snapToGrid: false }
    );
    return [x, y];
  }, [flow]);

  useEffect(() => {
    session.middle = middle;
    session.reveal = ids => {
      // After the document's change is drawn.
      requestAnimationFrame(() => {
        if (!ids) {
          void flow.fitView({ duration: time.glide, padding: 0.15, maxZoom: 1 });
          return;
        }
        const box = frame.current?.getBoundingClientRect();
        const found = ids.flatMap(id => drawing.boxes.get(id) ?? []);
        if (!box || found.length === 0) {
          return;
        }
        const { x, y, zoom } = flow.getViewport();
        const seen = found.every(
          each =>
            each.x * zoom + x >= 0 &&
            each.y * zoom + y >= 0 &&
            (each.x + each.width) * zoom + x <= box.width &&
            (each.y + each.height) * zoom + y <= box.height
        );
        if (!seen) {
          // As large as it is now, or smaller if they would not fit.
          const whole = bounds(found);
          const fits = Math.min(box.width / whole.width, box.height / whole.height) * 0.8;
          void flow.setCenter(whole.x + whole.width / 2, whole.y + whole.height / 2, {
            zoom: Math.min(zoom, fits),
            duration: time.glide
          });
        }
      });
    };
  }, [session, flow, drawing, middle]);

  const share = useMemo(
    () => paced((shown: Parameters<typeof session.room.show>[0]) => session.room.show(shown), time.share),
    [session]
  );
  const point = useMemo(
    () => paced((cursor: { x: number; y: number } | null) => session.room.show({ cursor }), time.share),
    [session]
  );
  useEffect(
    () => () => {
      share.cancel();
      point.cancel();
    },
    [share, point]
  );

  useEffect(() => {
    if (following === null) {
      return;
    }
    let last = '';
    const go = (): void => {
      const camera = session.room.people.get().find(each => each.client === following)?.camera;
      const box = frame.current?.getBoundingClientRect();
      const key = JSON.stringify(camera);
      if (camera && box && key !== last) {
        last = key;
        void flow.setViewport(
          {
            x: box.width / 2 - camera.x * camera.zoom,
            y: box.height / 2 - camera.y * camera.zoom,
            zoom: camera.zoom
          },
          { duration: time.share }
        );
      }
    };
    go();
    return session.room.people.subscribe(go);
  }, [following, session, flow]);

  // --- Moving ------------------------------------------------------------------------------

  const write = useMemo(
    () =>
      paced((at: ReadonlyMap<string, Place>, name: string) => session.document.move(at, name), time.share),
    [session]
  );

  const onNodesChange = (changes: NodeChange<Drawn>[]): void => {
    const moved = new Map<string, Place>();
    let chosen: { nodes: Set<string>; groups: Set<string> } | null = null;
    for (const change of changes) {
      if (change.type === 'select') {
        const old = session.selection.get();
        chosen ??= { nodes: new Set(old.nodes), groups: new Set(old.groups) };
        const group = groupOf(change.id);
        const into = group ? chosen.groups : chosen.nodes;
        into[change.selected ? 'add' : 'delete'](group || change.id);
      } else if (change.type === 'position' && change.position && writable) {
        const { x, y } = change.position;
        const group = groupOf(change.id);
        if (!group) {
          moved.set(change.id, [Math.round(x), Math.round(y)]);
          continue;
        }
        const from = start.current?.frames.get(change.id);
        for (const node of from ? members(graph, group) : []) {
          const at = start.current?.members.get(node.id);
          if (from && at) {
            moved.set(node.id, [Math.round(at[0] + x - from[0]), Math.round(at[1] + y - from[1])]);
          }
        }
      }
    }
    if (chosen) {
      session.selection.set({ ...session.selection.get(), ...chosen });
    }
    if (moved.size > 0) {
      if (start.current) {
        setDragged(old => new Map([...old, ...moved]));
      }
      write(moved, `drag${gesture.current}`);
    }
  };

  const onEdgesChange = (changes: EdgeChange<Line>[]): void => {
    const edges = new Set(session.selection.get().edges);
    let any = false;
    for (const change of changes) {
      if (change.type === 'select') {
        any = true;
        edges[change.selected ? 'add' : 'delete'](change.id);
      }
    }
    if (any) {
      session.selection.set({ ...session.selection.get(), edges });
    }
  };

  const onDragStart = (): void => {
    gesture.current += 1;
    const frames = new Map<string, Place>();
    for (const [id, { x, y }] of drawing.boxes) {
      if (groupOf(id)) {
        frames.set(id, [x, y]);
      }
    }
    start.current = { frames, members: new Map(places) };
  };

  const onDragStop = (): void => {
    write.flush();
    session.document.endGesture();
    start.current = null;
    setDragged(STILL);
  };

  // --- Connecting --------------------------------------------------------------------------

  const isValid = useCallback(
    (line: Wire | Line) =>
      whyNot(session.document.graph.get(), session.layers.get() ?? new Map(), endsOf(line)) === null,
    [session]
  );

  const onConnectEnd = (_: unknown, state: FinalConnectionState): void => {
    if (state.isValid === false && state.toHandle) {
      const [from, to] =
        state.fromHandle.type === 'source'
          ? [state.fromHandle, state.toHandle]
          : [state.toHandle, state.fromHandle];
      const why = whyNot(session.document.graph.get(), session.layers.get() ?? new Map(), {
        source: from.nodeId,
        output: from.id ?? 'out',
        target: to.nodeId,
        port: to.id ?? 'in'
      });
      session.say(
        why && state.fromHandle.type !== state.toHandle.type
          ? session.because(why)
          : words.__('A connection goes from the lower edge of a layer to the upper edge of another.')
      );
    }
  };

  // --- From the palette, and the keyboard --------------------------------------------------

  const onDrop = (event: DragEvent): void => {
    const layer = layers?.get(event.dataTransfer.getData(DRAGGED));
    if (layer) {
      event.preventDefault();
      const { x, y } = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
      session.add(layer, [
        Math.round(x - size.node.width / 2),
        Math.round(y - size.node.height / 2)
      ]);
    }
  };

  const tell = (id: string): void => {
    const node = session.document.graph.get().nodes.get(id);
    if (node) {
      const told = session.room.meaning.get().nodes.get(id);
      session.say(
        [called(node), kind(node, layers?.get(node.layer)), shapes(told), told?.problem]
          .filter(Boolean)
          .join(', ')
      );
    }
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const direction = ARROWS[event.key];
    if (!direction || event.target !== frame.current) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (event.altKey || event.ctrlKey || event.metaKey) {
      const step = size.step * (event.shiftKey ? 5 : 1);
      const [dx, dy] = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] }[direction] as [number, number];
      session.nudge(dx * step, dy * step);
      return;
    }
    const { nodes: chosen } = session.selection.get();
    const last = [...chosen].at(-1);
    const seen = new Map([...places].filter(([id]) => drawing.boxes.has(id)));
    const id = last === undefined ? [...seen.keys()][0] : beside(graph, seen, last, direction);
    if (!id) {
      session.say(words.__('There is no layer that way.'));
      return;
    }
    session.select({ nodes: new Set(event.shiftKey ? [...chosen, id] : [id]) });
    session.reveal([id]);
    tell(id);
  };

  return (
    <div
      ref={frame}
      className="nx-GraphCanvas"
      tabIndex={0}
      role="application"
      aria-label={words.__(
        'The graph as a drawing. Arrow keys go along the connections; with Alt they move what is chosen. Delete removes it, A adds a layer. The outline says the same as a list.'
      )}
      onKeyDown={onKeyDown}
      onPointerDownCapture={event => {
        if (event.target instanceof Element && !event.target.closest('button, input, select, a')) {
          frame.current?.focus({ preventScroll: true });
          // What is copied now are layers, not words that were chosen before.
          document.getSelection()?.removeAllRanges();
        }
      }}
      onPointerMove={event => {
        const at = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
        point({ x: Math.round(at.x), y: Math.round(at.y) });
      }}
      onPointerLeave={() => point(null)}
      onDragOver={event => {
        if (event.dataTransfer.types.includes(DRAGGED)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = 'copy';
        }
      }}
      onDrop={onDrop}
    >
      <ReactFlow<Drawn, Line>
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onNodeDragStart={onDragStart}
        onNodeDragStop={onDragStop}
        onSelectionDragStart={onDragStart}
        onSelectionDragStop={onDragStop}
        onConnect={line => session.connect(endsOf(line))}
        onConnectEnd={onConnectEnd}
        isValidConnection={isValid}
        onMoveStart={event => {
          if (event) {
            session.following.set(null);
          }
        }}
        onMove={(_, { zoom }) => {
          const [x, y] = middle();
          share({ camera: { x: Math.round(x), y: Math.round(y), zoom } });
        }}
        nodesDraggable={writable}
        nodesConnectable={writable}
        nodesFocusable={false}
        edgesFocusable={false}
        disableKeyboardA11y
        deleteKeyCode={null}
        multiSelectionKeyCode={['Shift', 'Meta', 'Control']}
        elevateNodesOnSelect={false}
        onlyRenderVisibleElements
        minZoom={0.05}
        maxZoom={2.5}
        fitView
        fitViewOptions={{ padding: 0.15, maxZoom: 1 }}
        connectionRadius={28}
        zoomOnDoubleClick={false}
        ariaLabelConfig={{
          'controls.ariaLabel': words.__('View'),
          'controls.zoomIn.ariaLabel': words.__('Larger'),
          'controls.zoomOut.ariaLabel': words.__('Smaller'),
          'controls.fitView.ariaLabel': words.__('Show all'),
          'minimap.ariaLabel': words.__('The whole graph, small'),
          'handle.ariaLabel': words.__('End of a connection')
        }}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
        <MiniMap
          pannable
          zoomable
          style={{ width: 120, height: 90 }}
          nodeClassName={node => `nx-GraphMap-${node.type}`}
        />
        <Cursors />
        {graph.nodes.size === 0 && (
          <Panel position="top-center">
            <p className="nx-GraphEmpty">
              {writable
                ? words.__('There are no layers yet. Press A and write what you look for, or drag one from the left.')
                : words.__('There are no layers yet.')}
            </p>
          </Panel>
        )}
      </ReactFlow>
    </div>
  );
}

/** Where the others point. */
function Cursors(): JSX.Element {
  const { session } = useHere();
  const people = useStore(session.room.people);
  const { zoom } = useViewport();
  return (
    <ViewportPortal>
      {people.map(
        ({ client, name, color, cursor }) =>
          cursor && (
            <div
              key={client}
              className="nx-GraphCursor"
              aria-hidden="true"
              style={{
                ...painted(color),
                transform: `translate(${cursor.x}px, ${cursor.y}px) scale(${1 / zoom})`
              }}
            >
              <svg width="14" height="18" viewBox="0 0 14 18">
                <path d="M1 1 L13 11 L7 11.5 L4 17 Z" />
              </svg>
              <span>{name}</span>
            </div>
          )
      )}
    </ViewportPortal>
  );
}

function endsOf({ source, target, sourceHandle, targetHandle }: Wire | Line): Ends {
  return { source, output: sourceHandle ?? 'out', target, port: targetHandle ?? 'in' };
}

function bounds(boxes: readonly { x: number; y: number; width: number; height: number }[]): {
  x: number;
  y: number;
  width: number;
  height: number;
} {
  const x = Math.min(...boxes.map(box => box.x));
  const y = Math.min(...boxes.map(box => box.y));
  return {
    x,
    y,
    width: Math.max(...boxes.map(box => box.x + box.width)) - x,
    height: Math.max(...boxes.map(box => box.y + box.height)) - y
  };
}

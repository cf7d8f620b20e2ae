/** Where nodes stand: in layers by their edges, in a line, evenly spread. */

import dagre from '@dagrejs/dagre';
import type { Graph, Place } from '../document.ts';
import { size } from '../tokens.ts';
import { depths } from './graph.ts';

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

type Size = Pick<Box, 'width' | 'height'>;

/** Above this the layers are told apart in a quicker way. */
const MANY = 300;

/** Above this the layers are drawn without looking for few crossings. */
const LARGE = 1_500;

/**
 * Nodes from top to bottom by their edges. The top left corner of all stays where it was.
 *
 * @param ids - Those to be placed; only edges between them count.
 */
export function arranged(
  graph: Pick<Graph, 'nodes' | 'edges'>,
  ids: readonly string[],
  sizeOf: (id: string) => Size,
  places: ReadonlyMap<string, Place>
): Map<string, Place> {
  const chosen = new Set(ids);
  const edges = [...graph.edges.values()].filter(
    edge => chosen.has(edge.source) && chosen.has(edge.target)
  );
  const found = ids.length > LARGE ? layered(graph, ids, sizeOf) : byDagre(ids, edges, sizeOf);
  const corner = topLeft(ids.map(id => places.get(id)).filter(each => each !== undefined));
  const own = topLeft([...found.values()]);
  const [dx, dy] = [corner[0] - own[0], corner[1] - own[1]];
  return new Map(
    [...found].map(([id, [x, y]]) => [id, [Math.round(x + dx), Math.round(y + dy)] as const])
  );
}

function byDagre(
  ids: readonly string[],
  edges: readonly { source: string; target: string }[],
  sizeOf: (id: string) => Size
): Map<string, Place> {
  const drawing = new dagre.graphlib.Graph();
  drawing.setGraph({
    rankdir: 'TB',
    // The exact way takes seconds for a thousand layers.
    ranker: ids.length > MANY ? 'tight-tree' : 'network-simplex',
    ranksep: size.gap.y,
    nodesep: size.gap.x
  });
  drawing.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) {
    drawing.setNode(id, { ...sizeOf(id) });
  }
  for (const { source, target } of edges) {
    drawing.setEdge(source, target);
  }
  dagre.layout(drawing);
  return new Map(
    ids.map(id => {
      const node = drawing.node(id) as Box;
      return [id, [node.x - node.width / 2, node.y - node.height / 2] as const];
    })
  );
}

function layered(
  graph: Pick<Graph, 'nodes' | 'edges'>,
  ids: readonly string[],
  sizeOf: (id: string) => Size
): Map<string, Place> {
  const depth = depths(graph);
  const next = new Map<number, number>();
  const found = new Map<string, Place>();
  for (const id of ids) {
    const row = depth.get(id) ?? 0;
    const x = next.get(row) ?? 0;
    found.set(id, [x, row * (size.node.height + size.gap.y)]);
    next.set(row, x + sizeOf(id).width + size.gap.x);
  }
  return found;
}

/** The places of a document, with one for each node that has none: below the others, in layers. */
export function placed(graph: Graph, sizeOf: (id: string) => Size): ReadonlyMap<string, Place> {
  const missing = [...graph.nodes.keys()].filter(id => !graph.layout.has(id));
  if (missing.length === 0) {
    return graph.layout;
  }
  const floor = Math.max(
    0,
    ...[...graph.layout].map(([id, [, y]]) => y + sizeOf(id).height + 2 * size.gap.y)
  );
  const all = new Map(graph.layout);
  for (const [id, [x, y]] of arranged(graph, missing, sizeOf, new Map())) {
    all.set(id, [x, y + floor]);
  }
  return all;
}

function topLeft(places: readonly Place[]): Place {
  return places.length === 0
    ? [0, 0]
    : [Math.min(...places.map(([x]) => x)), Math.min(...places.map(([, y]) => y))];
}

export type Side = 'left' | 'right' | 'top' | 'bottom';

export function aligned(boxes: ReadonlyMap<string, Box>, side: Side): Map<string, Place> {
  const all = [...boxes.values()];
  const least = (of: (box: Box) => number): number => Math.min(...all.map(of));
  const most = (of: (box: Box) => number): number => Math.max(...all.map(of));
  const edge = {
    left: () => least(box => box.x),
    right: () => most(box => box.x + box.width),
    top: () => least(box => box.y),
    bottom: () => most(box => box.y + box.height)
  }[side]();
  return new Map(
    [...boxes].map(([id, { x, y, width, height }]) => {
      switch (side) {
        case 'left':
          return [id, [edge, y] as const];
        case 'right':
          return [id, [edge - width, y] as const];
        case 'top':
          return [id, [x, edge] as const];
        case 'bottom':
          return [id, [x, edge - height] as const];
      }
    })
  );
}

/** The same gap between neighbours; the outermost two stay. */
export function distributed(boxes: ReadonlyMap<string, Box>, axis: 'x' | 'y'): Map<string, Place> {
  const long = axis === 'x' ? 'width' : 'height';
  const order = [...boxes].sort(([, a], [, b]) => a[axis] - b[axis]);
  const first = order[0]?.[1];
  const last = order.at(-1)?.[1];
  if (!first || !last || order.length < 3) {
    return new Map();
  }
  const room = last[axis] + last[long] - first[axis];
  const taken = order.reduce((all, [, box]) => all + box[long], 0);
  const gap = (room - taken) / (order.length - 1);
  let at = first[axis];
  const found = new Map<string, Place>();
  for (const [id, box] of order) {
    const to = Math.round(at);
    found.set(id, axis === 'x' ? [to, box.y] : [box.x, to]);
    at += box[long] + gap;
  }
  return found;
}

/** The smallest box around others. */
export function around(boxes: Iterable<Box>): Box | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of boxes) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  return left === Infinity ? null : { x: left, y: top, width: right - left, height: bottom - top };
}

/** A place where nothing stands yet, from a wanted one to the right. */
export function free(places: Iterable<Place>, [x, y]: Place): Place {
  const taken = [...places];
  let at: Place = [Math.round(x), Math.round(y)];
  while (
    taken.some(
      other =>
        Math.abs(other[0] - at[0]) < size.node.width &&
        Math.abs(other[1] - at[1]) < size.node.height
    )
  ) {
    at = [at[0] + size.node.width + size.gap.x, at[1]];
  }
  return at;
}

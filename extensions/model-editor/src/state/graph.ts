/** What follows from a graph and the layer table: orders, ends that fit, words for shapes. */

import { ancestors, type Ends, type Graph, type GraphNode } from '../document.ts';
import type { Json, Layer, NodeMeaning, Parameter } from '../wire.ts';
import { brief as told, clipped, entries, isList, isMap } from './arguments.ts';

export type Layers = ReadonlyMap<string, Layer>;
type Wired = Pick<Graph, 'nodes' | 'edges'>;

/** For each node, those its edges lead to and those they come from, without repetition. */
export interface Neighbours {
  readonly next: ReadonlyMap<string, readonly string[]>;
  readonly before: ReadonlyMap<string, readonly string[]>;
}

const known = new WeakMap<object, Neighbours>();

export function neighbours(graph: Wired): Neighbours {
  const found = known.get(graph.edges);
  if (found) {
    return found;
  }
  const next = new Map<string, string[]>();
  const before = new Map<string, string[]>();
  const note = (map: Map<string, string[]>, id: string, other: string): void => {
    const list = map.get(id);
    if (!list) {
      map.set(id, [other]);
    } else if (!list.includes(other)) {
      list.push(other);
    }
  };
  for (const { source, target } of graph.edges.values()) {
    note(next, source, target);
    note(before, target, source);
  }
  const made = { next, before };
  known.set(graph.edges, made);
  return made;
}

/** Whether edges lead from one node to the other, over any number of nodes. */
export function reaches(graph: Wired, from: string, to: string): boolean {
  const { next } = neighbours(graph);
  const seen = new Set([from]);
  const stack = [from];
  while (stack.length > 0) {
    const id = stack.pop()!;
    if (id === to) {
      return true;
    }
    for (const other of next.get(id) ?? []) {
      if (!seen.has(other)) {
        seen.add(other);
        stack.push(other);
      }
    }
  }
  return false;
}

/** The nodes so that edges lead forward; those of a circle come where it is entered. */
export function topological(graph: Wired): string[] {
  const { next, before } = neighbours(graph);
  const open = new Map([...graph.nodes.keys()].map(id => [id, before.get(id)?.length ?? 0]));
  const order: string[] = [];
  const ready = [...open].filter(([, count]) => count === 0).map(([id]) => id);
  while (order.length < graph.nodes.size) {
    // What is left lies on circles or behind them: the first of it goes next.
    const id = ready.shift() ?? [...open.keys()][0]!;
    if (!open.delete(id)) {
      continue;
    }
    order.push(id);
    for (const other of next.get(id) ?? []) {
      const count = open.get(other);
      if (count !== undefined) {
        open.set(other, count - 1);
        if (count === 1) {
          ready.push(other);
        }
      }
    }
  }
  return order;
}

/** How many edges lead to each node at most, along a way without repetition. */
export function depths(graph: Wired): ReadonlyMap<string, number> {
  const { before } = neighbours(graph);
  const found = new Map<string, number>();
  for (const id of topological(graph)) {
    found.set(
      id,
      Math.max(0, ...(before.get(id) ?? []).map(other => (found.get(other) ?? -1) + 1))
    );
  }
  return found;
}

export type WhyNot = 'itself' | 'circle' | 'twice' | 'no-port' | 'gone';

/** Why these ends may not be connected; null if they may. */
export function whyNot(graph: Wired, layers: Layers, ends: Ends): WhyNot | null {
  const [source, target] = [graph.nodes.get(ends.source), graph.nodes.get(ends.target)];
  if (!source || !target) {
    return 'gone';
  }
  if (ends.source === ends.target) {
    return 'itself';
  }
  const [from, to] = [layers.get(source.layer), layers.get(target.layer)];
  const fits =
    (!from || from.outputs.some(each => each.name === ends.output)) &&
    (!to || to.ports.some(each => each.name === ends.port));
  if (!fits) {
    return 'no-port';
  }
  for (const edge of graph.edges.values()) {
    if (
      edge.source === ends.source &&
      edge.target === ends.target &&
      edge.output === ends.output &&
      edge.port === ends.port
    ) {
      return 'twice';
    }
  }
  return reaches(graph, ends.target, ends.source) ? 'circle' : null;
}

export function takesMany(graph: Wired, layers: Layers, target: string, port: string): boolean {
  const layer = layers.get(graph.nodes.get(target)?.layer ?? '');
  return layer?.ports.find(each => each.name === port)?.many ?? false;
}

export interface NodePorts {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** The names at which edges end at each node: the layer's, and any that edges use besides. */
export function portsOf(graph: Wired, layers: Layers): ReadonlyMap<string, NodePorts> {
  const more = new Map<string, { inputs: string[]; outputs: string[] }>();
  const of = (id: string): { inputs: string[]; outputs: string[] } => {
    let found = more.get(id);
    if (!found) {
      const layer = layers.get(graph.nodes.get(id)?.layer ?? '');
      found = {
        inputs: layer?.ports.map(each => each.name) ?? [],
        outputs: layer?.outputs.map(each => each.name) ?? []
      };
      more.set(id, found);
    }
    return found;
  };
  for (const id of graph.nodes.keys()) {
    of(id);
  }
  for (const { source, target, port, output } of graph.edges.values()) {
    const [from, to] = [of(source).outputs, of(target).inputs];
    if (!from.includes(output)) {
      from.push(output);
    }
    if (!to.includes(port)) {
      to.push(port);
    }
  }
  return more;
}

/** Where the edges of a node may go to, the nearest in the graph's order first. */
export function targets(graph: Wired, layers: Layers, source: string): Ends[] {
  const outputs = layers.get(graph.nodes.get(source)?.layer ?? '')?.outputs ?? [];
  const found: Ends[] = [];
  for (const output of outputs) {
    for (const target of topological(graph)) {
      for (const port of layers.get(graph.nodes.get(target)!.layer)?.ports ?? []) {
        const ends = { source, output: output.name, target, port: port.name };
        if (target !== source && whyNot(graph, layers, ends) === null) {
          found.push(ends);
        }
      }
    }
  }
  return found;
}

/** The outermost folded group that hides a node; empty if it is to be seen. */
export function hiddenIn(graph: Pick<Graph, 'groups'>, group: string): string {
  if (!group) {
    return '';
  }
  const around = [group, ...ancestors(graph, group)].filter(id => graph.groups.get(id)?.folded);
  return around.at(-1) ?? '';
}

/** The nodes of a group and of the groups in it. */
export function members(graph: Pick<Graph, 'nodes' | 'groups'>, group: string): GraphNode[] {
  return [...graph.nodes.values()].filter(
    node => node.group === group || ancestors(graph, node.group).includes(group)
  );
}

/** `B × 32`; `[]` of one number alone, empty if nothing is known. */
export function shape(axes: readonly (number | string)[] | undefined): string {
  return axes?.length === 0 ? '[]' : (axes?.map(String).join(' × ') ?? '');
}

/** The shapes that leave a node; with their names if there are several. */
export function shapes(meaning: NodeMeaning | undefined): string {
  const found = Object.entries(meaning?.outputs ?? {});
  return found.length === 1
    ? shape(found[0]![1])
    : found.map(([name, axes]) => `${name}: ${shape(axes)}`).join(', ');
}

/** What was set, else the default. */
export function setting(node: GraphNode, parameter: Parameter): unknown {
  return node.params[parameter.name] ?? parameter.default;
}

export function say(value: unknown): string {
  if (value === null || value === undefined) {
    return '';
  }
  if (Array.isArray(value)) {
    return value.length > 0 ? value.map(each => say(each)).join(', ') : '[]';
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The layer that is whichever function of torch its node says. */
const OPERATION = 'operation';

function named(node: GraphNode, layer: Layer, name: string): unknown {
  const parameter = layer.params.find(each => each.name === name);
  return parameter && setting(node, parameter);
}

/** What kind of layer a node is, for people: the layer's title, or the function it is. */
export function kind(node: GraphNode, layer: Layer | undefined): string {
  const own = layer?.name === OPERATION ? say(named(node, layer, 'function')) : '';
  return own || (layer?.title ?? node.layer);
}

/** `in 0, 2, dim 1`: what a function is given. */
function given(node: GraphNode, layer: Layer): string {
  const [places, names, item] = ['arguments', 'named', 'item'].map(name => named(node, layer, name));
  const all = [
    ...(isList(places) ? places.map(told) : []),
    ...(isMap(names) ? entries(names).map(([name, each]) => `${name} ${told(each)}`) : []),
    ...(typeof item === 'number' && item >= 0 ? [`item ${item}`] : [])
  ];
  return clipped(all.join(', '));
}

/** What stands on a node of its parameters: those that somebody set, else the first. */
export function brief(node: GraphNode, layer: Layer | undefined): string {
  if (layer?.name === OPERATION) {
    return given(node, layer);
  }
  const all = layer?.params ?? [];
  const told = all.filter(each => each.name in node.params);
  const shown = told.length > 0 ? told : all.filter(each => say(each.default) !== '').slice(0, 1);
  return shown
    .slice(0, 3)
    .map(each => `${each.name} ${say(setting(node, each))}`)
    .join(', ');
}

/** `1.2 M`; whole numbers below ten thousand as they are. */
export function short(count: number): string {
  return count < 10_000
    ? count.toLocaleString()
    : new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 }).format(count);
}

/** `1.5 MB` */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  const scaled = count / 1000 ** at;
  return `${at === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[at]!}`;
}

/** What people read for a node: its name, else its id. */
export function called(node: GraphNode): string {
  return node.name || node.id;
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** The node that an arrow key leads to: along the edges, or to the next beside it. */
export function beside(
  graph: Wired,
  places: ReadonlyMap<string, readonly [number, number]>,
  from: string,
  direction: Direction
): string {
  const { next, before } = neighbours(graph);
  const [x, y] = places.get(from) ?? [0, 0];
  const far = (id: string): number => {
    const [otherX, otherY] = places.get(id) ?? [0, 0];
    return direction === 'up' || direction === 'down'
      ? Math.abs(otherX - x)
      : Math.abs(otherX - x) + Math.abs(otherY - y) * 3;
  };
  const candidates =
    direction === 'down'
      ? (next.get(from) ?? [])
      : direction === 'up'
        ? (before.get(from) ?? [])
        : [...places.keys()].filter(id => {
            const otherX = places.get(id)![0];
            return id !== from && (direction === 'left' ? otherX < x : otherX > x);
          });
  let best = '';
  for (const id of candidates) {
    if (places.has(id) && (!best || far(id) < far(best))) {
      best = id;
    }
  }
  return best;
}

/** The graph as JSON, for reading. */
export function asJson(graph: Graph): string {
  const plain = (map: ReadonlyMap<string, object>): Record<string, unknown> =>
    Object.fromEntries(
      [...map].map(([id, { ...value }]) => {
        delete (value as { id?: string }).id;
        return [id, value];
      })
    );
  return JSON.stringify(
    {
      nodes: plain(graph.nodes),
      edges: plain(graph.edges),
      groups: plain(graph.groups),
      layout: Object.fromEntries(graph.layout),
      data: graph.data,
      training: graph.training satisfies Readonly<Record<string, Json>>
    },
    null,
    2
  );
}

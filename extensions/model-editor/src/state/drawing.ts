/** What the canvas draws: cards, frames, folded groups and lines, the same objects while they say the same. */

import { Position, type Edge, type Node } from '@xyflow/react';
import { ancestors, type Graph, type GraphGroup, type GraphNode, type Place } from '../document.ts';
import type { Meaning } from '../meaning.ts';
import { groupNode, type Selection, type Watcher } from '../session.ts';
import { size } from '../tokens.ts';
import type { Layer, NodeMeaning } from '../wire.ts';
import { around, type Box } from './arrange.ts';
import { aside } from './route.ts';
import { hiddenIn, type Layers, type NodePorts } from './graph.ts';

export type CardNode = Node<
  {
    node: GraphNode;
    layer: Layer | undefined;
    meaning: NodeMeaning | undefined;
    ports: NodePorts;
    watchers: readonly Watcher[] | undefined;
    writable: boolean;
  },
  'card'
>;

export type FrameNode = Node<
  { group: GraphGroup; count: number; watchers: readonly Watcher[] | undefined; writable: boolean },
  'frame'
>;

export type FoldNode = Node<
  {
    group: GraphGroup;
    count: number;
    parameters: number;
    problems: number;
    watchers: readonly Watcher[] | undefined;
    writable: boolean;
  },
  'fold'
>;

export type Drawn = CardNode | FrameNode | FoldNode;
/** `round`: where it passes the cards between its ends. */
export type Line = Edge<{ problem: string; round: number | null }>;

export interface Scene {
  readonly graph: Graph;
  readonly places: ReadonlyMap<string, Place>;
  /** Where nodes are that are being dragged here. */
  readonly dragged: ReadonlyMap<string, Place>;
  readonly ports: ReadonlyMap<string, NodePorts>;
  readonly layers: Layers;
  readonly meaning: Meaning;
  readonly selection: Selection;
  readonly watched: ReadonlyMap<string, readonly Watcher[]>;
  readonly writable: boolean;
  readonly sizeOf: (ports: NodePorts | undefined) => { width: number; height: number };
}

/** Where the ends of edges are on a card, from its left: evenly spread. */
export function portLeft(index: number, count: number): number {
  return (size.node.width * (index + 1)) / (count + 1);
}

const NO_PORTS: NodePorts = { inputs: [], outputs: [] };

/** The group a node of the canvas stands for; empty for a layer's card. */
export function groupOf(drawn: string): string {
  return drawn.startsWith('group:') ? drawn.slice('group:'.length) : '';
}

/** Draws, and remembers what it drew. */
export class Drawing {
  private drawn = new Map<string, { key: readonly unknown[]; node: Drawn }>();
  private lines = new Map<string, { key: readonly unknown[]; line: Line }>();
  /** The boxes of all that was drawn last. */
  boxes: ReadonlyMap<string, Box> = new Map();

  nodes(scene: Scene): Drawn[] {
    const { graph, selection, watched, writable } = scene;
    const old = this.drawn;
    this.drawn = new Map();
    const keep = (id: string, key: readonly unknown[], make: () => Drawn): void => {
      const before = old.get(id);
      const same = before && before.key.length === key.length && key.every((each, at) => Object.is(each, before.key[at]));
      this.drawn.set(id, same ? before : { key, node: make() });
    };
    const boxes = new Map<string, Box>();
    const inside = new Map<string, string[]>();
    for (const node of graph.nodes.values()) {
      const ports = scene.ports.get(node.id) ?? NO_PORTS;
      const [x, y] = scene.dragged.get(node.id) ?? scene.places.get(node.id) ?? [0, 0];
      boxes.set(node.id, { x, y, ...scene.sizeOf(ports) });
      for (const group of node.group ? [node.group, ...ancestors(graph, node.group)] : []) {
        const list = inside.get(group);
        if (list) {
          list.push(node.id);
        } else {
          inside.set(group, [node.id]);
        }
      }
    }
    // The innermost groups first: a frame goes round the frames in it.
    const groups = [...graph.groups.values()]
      .map(group => ({ group, around: ancestors(graph, group.id) }))
      .sort((a, b) => b.around.length - a.around.length);
    const frames: { group: GraphGroup; depth: number; count: number }[] = [];
    const folds: { group: GraphGroup; ids: readonly string[] }[] = [];
    const ofGroup = new Map<string, Box>();
    for (const { group, around: outer } of groups) {
      const ids = inside.get(group.id) ?? [];
      if (ids.length === 0 || (group.parent && hiddenIn(graph, group.parent))) {
        continue;
      }
      if (group.folded) {
        const whole = around(ids.map(id => boxes.get(id)!))!;
        ofGroup.set(group.id, { x: whole.x, y: whole.y, ...size.fold });
        folds.push({ group, ids });
        continue;
      }
      const own = ids.filter(id => graph.nodes.get(id)!.group === group.id);
      const nested = groups.filter(each => each.group.parent === group.id);
      const box = around([
        ...own.map(id => boxes.get(id)!),
        ...nested.flatMap(each => ofGroup.get(each.group.id) ?? [])
      ]);
      if (box) {
        const { pad, head } = size.frame;
        ofGroup.set(group.id, {
          x: box.x - pad,
          y: box.y - pad - head,
          width: box.width + 2 * pad,
          height: box.height + 2 * pad + head
        });
        frames.push({ group, depth: outer.length, count: ids.length });
      }
    }
    const order: string[] = [];
    // The outermost are furthest behind.
    for (const { group, depth, count } of frames.reverse()) {
      const id = groupNode(group.id);
      const box = ofGroup.get(group.id)!;
      const selected = selection.groups.has(group.id);
      const watchers = watched.get(group.id);
      order.push(id);
      keep(id, [group, count, box.x, box.y, box.width, box.height, depth, selected, watchers, writable], () => ({
        ...placedAt(id, box),
        type: 'frame',
        data: { group, count, watchers, writable },
        selected,
        connectable: false,
        dragHandle: '.nx-GraphFrame-head',
        zIndex: -100 + depth,
        style: { pointerEvents: 'none' }
      }));
      boxes.set(id, box);
    }
    for (const { group, ids } of folds) {
      const id = groupNode(group.id);
      const box = ofGroup.get(group.id)!;
      const selected = selection.groups.has(group.id);
      const watchers = [...new Set([group.id, ...ids].flatMap(each => watched.get(each) ?? []))];
      const told = ids.map(each => scene.meaning.nodes.get(each));
      const parameters = told.reduce((all, each) => all + (each?.parameters ?? 0), 0);
      const problems = told.filter(each => each?.problem).length;
      order.push(id);
      const seen = watchers.map(each => each.client).join();
      keep(id, [group, ids.length, box.x, box.y, selected, seen, parameters, problems, writable], () => ({
        ...placedAt(id, box),
        type: 'fold',
        data: { group, count: ids.length, parameters, problems, watchers, writable },
        selected,
        connectable: false,
        handles: [
          { id: 'in', type: 'target', position: Position.Top, x: size.fold.width / 2, y: 0, width: 1, height: 1 },
          { id: 'out', type: 'source', position: Position.Bottom, x: size.fold.width / 2, y: size.fold.height, width: 1, height: 1 }
        ]
      }));
      boxes.set(id, box);
    }
    for (const node of graph.nodes.values()) {
      if (hiddenIn(graph, node.group)) {
        boxes.delete(node.id);
        continue;
      }
      const { id } = node;
      const box = boxes.get(id)!;
      const layer = scene.layers.get(node.layer);
      const meaning = scene.meaning.nodes.get(id);
      const ports = scene.ports.get(id) ?? NO_PORTS;
      const watchers = watched.get(id);
      const selected = selection.nodes.has(id);
      order.push(id);
      const names = `${ports.inputs.join()}|${ports.outputs.join()}`;
      const before = old.get(id)?.node;
      keep(id, [node, layer, meaning, names, watchers, selected, box.x, box.y, writable], () => {
        const data = { node, layer, meaning, ports, watchers, writable };
        return {
          ...placedAt(id, box),
          type: 'card',
          // A card that only moved, or was chosen, need not be drawn again.
          data: before?.type === 'card' && sameData(before.data, data, names) ? before.data : data,
          selected,
          draggable: writable,
          connectable: writable,
          handles: [
            ...ports.inputs.map((name, at, all) => ({
              id: name, type: 'target' as const, position: Position.Top, x: portLeft(at, all.length) - 6, y: -6, width: 12, height: 12
            })),
            ...ports.outputs.map((name, at, all) => ({
              id: name, type: 'source' as const, position: Position.Bottom, x: portLeft(at, all.length) - 6, y: box.height - 6, width: 12, height: 12
            }))
          ]
        };
      });
    }
    this.boxes = boxes;
    return order.map(id => this.drawn.get(id)!.node);
  }

  edges(scene: Pick<Scene, 'graph' | 'meaning' | 'selection'>): Line[] {
    const { graph, selection } = scene;
    const wrong = new Map(scene.meaning.problems.map(each => [each.edge, each.text]));
    const old = this.lines;
    this.lines = new Map();
    for (const edge of graph.edges.values()) {
      const from = hiddenIn(graph, graph.nodes.get(edge.source)!.group);
      const to = hiddenIn(graph, graph.nodes.get(edge.target)!.group);
      if (from && from === to) {
        continue;
      }
      const source = from ? groupNode(from) : edge.source;
      const target = to ? groupNode(to) : edge.target;
      const sourceHandle = from ? 'out' : edge.output;
      const targetHandle = to ? 'in' : edge.port;
      // Lines between the same two boxes are one.
      const id = from || to ? `fold:${source}.${sourceHandle}__${target}.${targetHandle}` : edge.id;
      const own = id === edge.id;
      const selected = own && selection.edges.has(id);
      const problem = own ? (wrong.get(id) ?? '') : '';
      const [start, end] = [this.boxes.get(source), this.boxes.get(target)];
      const round = start && end ? aside(start, end, this.boxes.values()) : null;
      const key = [source, target, sourceHandle, targetHandle, selected, problem, round];
      const before = old.get(id);
      this.lines.set(
        id,
        before && key.every((each, at) => each === before.key[at])
          ? before
          : {
              key,
              line: {
                id,
                source,
                target,
                sourceHandle,
                targetHandle,
                selected,
                selectable: own,
                data: { problem, round },
                ...(problem ? { label: '⚠', className: 'nx-mod-wrong' } : {})
              }
            }
      );
    }
    return [...this.lines.values()].map(each => each.line);
  }
}

function placedAt(id: string, { x, y, width, height }: Box): {
  id: string;
  position: { x: number; y: number };
  width: number;
  height: number;
  measured: { width: number; height: number };
} {
  return { id, position: { x, y }, width, height, measured: { width, height } };
}

function sameData(old: CardNode['data'], now: CardNode['data'], names: string): boolean {
  return (
    old.node === now.node &&
    old.layer === now.layer &&
    old.meaning === now.meaning &&
    old.watchers === now.watchers &&
    old.writable === now.writable &&
    `${old.ports.inputs.join()}|${old.ports.outputs.join()}` === names
  );
}

/**
 * The shared document of a graph: read as plain values that keep their identity while they say the
 * same, and changed by operations that are one transaction each.
 */

import * as Y from 'yjs';
import { Store, type Readable } from './store.ts';
import type { Json } from './wire.ts';

export const SCHEMA = 1;

export interface GraphNode {
  readonly id: string;
  readonly layer: string;
  readonly params: Readonly<Record<string, Json>>;
  /** What people call it; empty if nobody named it. */
  readonly name: string;
  /** Empty if in none. */
  readonly group: string;
}

export interface GraphEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly port: string;
  readonly output: string;
  /** Where a port takes several, they are joined in this order, then in that of their ids. */
  readonly order: number;
}

export interface GraphGroup {
  readonly id: string;
  readonly name: string;
  readonly folded: boolean;
  /** The group it is in; empty if in none. */
  readonly parent: string;
}

/** In CSS pixels, to the right and down. */
export type Place = readonly [x: number, y: number];

/** What a document says, without what concurrent edits left dangling. */
export interface Graph {
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly edges: ReadonlyMap<string, GraphEdge>;
  readonly layout: ReadonlyMap<string, Place>;
  readonly groups: ReadonlyMap<string, GraphGroup>;
  readonly training: Readonly<Record<string, Json>>;
  /** What it is for: `product`, `target`, `features`, `outputs`. */
  readonly data: Readonly<Record<string, Json>>;
  readonly meta: Readonly<Record<string, Json>>;
}

export type Ends = Pick<GraphEdge, 'source' | 'output' | 'target' | 'port'>;

/** A part of a graph that is to be put into another. */
export interface Fragment {
  readonly nodes: readonly (GraphNode & { readonly at: Place })[];
  readonly edges: readonly GraphEdge[];
  readonly groups: readonly GraphGroup[];
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const DIGITS = `0123456789${LETTERS}`;

function among(characters: string): string {
  return characters[Math.floor(Math.random() * characters.length)]!;
}

/**
 * `dense_k3f`: a name of Python that is not in `taken`. By chance, not the next number: two people
 * who add a layer at once must not make one node.
 */
export function freshId(stem: string, taken: (id: string) => boolean): string {
  const cleaned = stem.replace(/\W/g, '_').replace(/^[^A-Za-z]+/, '') || 'node';
  for (;;) {
    const id = `${cleaned.slice(0, 60)}_${among(LETTERS)}${among(DIGITS)}${among(DIGITS)}`;
    if (!taken(id)) {
      return id;
    }
  }
}

/** The same whoever makes it, so that the same edge made twice is one. */
export function edgeId({ source, output, target, port }: Ends): string {
  return `${source}.${output}__${target}.${port}`;
}

type Held = Y.Map<unknown>;

export class GraphDocument {
  readonly doc: Y.Doc;
  readonly graph: Readable<Graph>;
  /** What can be taken back and done again, of this person's own changes only. */
  readonly history: Readable<{ undo: boolean; redo: boolean }>;
  private readonly origin = { by: 'editor' };
  private readonly nodes: Y.Map<unknown>;
  private readonly edges: Y.Map<unknown>;
  private readonly layout: Y.Map<unknown>;
  private readonly groups: Y.Map<unknown>;
  private readonly training: Y.Map<unknown>;
  private readonly data: Y.Map<unknown>;
  private readonly meta: Y.Map<unknown>;
  private readonly undoing: Y.UndoManager;
  private readonly past = new Store({ undo: false, redo: false });
  private readonly said: Store<Graph>;
  private readonly read = {
    nodes: new Map<string, GraphNode>(),
    edges: new Map<string, GraphEdge>(),
    layout: new Map<string, Place>(),
    groups: new Map<string, GraphGroup>()
  };
  /** What goes on, so that a drag or a word typed is one step back. */
  private gesture = '';

  constructor(doc: Y.Doc = new Y.Doc()) {
    this.doc = doc;
    this.nodes = doc.getMap('nodes');
    this.edges = doc.getMap('edges');
    this.layout = doc.getMap('layout');
    this.groups = doc.getMap('groups');
    this.training = doc.getMap('training');
    this.data = doc.getMap('data');
    this.meta = doc.getMap('meta');
    for (const name of ['nodes', 'edges', 'layout', 'groups'] as const) {
      for (const id of this[name].keys()) {
        this.reread(name, id);
      }
      this[name].observeDeep(events => {
        for (const event of events) {
          const ids =
            event.path.length > 0 ? [String(event.path[0])] : event.changes.keys.keys();
          for (const id of ids) {
            this.reread(name, id);
          }
        }
      });
    }
    this.said = new Store(this.normalised(null));
    this.graph = this.said;
    this.undoing = new Y.UndoManager(
      [this.nodes, this.edges, this.layout, this.groups, this.training, this.data],
      { trackedOrigins: new Set([this.origin]), captureTimeout: Infinity }
    );
    this.history = this.past;
    const tell = (): void => {
      this.past.set({ undo: this.undoing.canUndo(), redo: this.undoing.canRedo() });
    };
    for (const name of ['stack-item-added', 'stack-item-popped', 'stack-cleared'] as const) {
      this.undoing.on(name, tell);
    }
    doc.on('afterTransaction', (transaction: Y.Transaction) => {
      if (transaction.changed.size > 0) {
        this.said.set(this.normalised(this.said.get()));
      }
    });
  }

  /** A later schema than this editor knows: it may be looked at, not changed. */
  get newer(): boolean {
    const { schema } = this.said.get().meta;
    return typeof schema === 'number' && schema > SCHEMA;
  }

  // --- What can be done --------------------------------------------------------------------

  /**
   * @param gesture - Changes by the same gesture, one after another, are one step back; an empty
   *   one is always a step of its own.
   */
  change<T>(make: () => T, gesture = ''): T {
    if (!gesture || gesture !== this.gesture) {
      this.undoing.stopCapturing();
    }
    this.gesture = gesture;
    // Not what `transact` answers: the Yjs that JupyterLab brings answers nothing.
    const made: T[] = [];
    this.doc.transact(() => {
      made.push(make());
    }, this.origin);
    return made[0]!;
  }

  /** What follows is another step back, though it is by the same gesture. */
  endGesture(): void {
    this.gesture = '';
  }

  undo(): void {
    this.endGesture();
    this.undoing.undo();
  }

  redo(): void {
    this.endGesture();
    this.undoing.redo();
  }

  /** The id of the new node. */
  addNode(layer: string, at: Place, more: { params?: Record<string, Json>; connect?: Omit<Ends, 'target'> } = {}): string {
    return this.change(() => {
      const id = freshId(layer, each => this.nodes.has(each));
      this.putNode({ id, layer, params: more.params ?? {}, name: '', group: '' });
      this.layout.set(id, [...at]);
      if (more.connect) {
        this.putEdge({ ...more.connect, target: id }, 0);
      }
      return id;
    });
  }

  /** Remove nodes, edges and groups; with a node go its edges and place, with a group its nodes. */
  remove(ids: { nodes?: Iterable<string>; edges?: Iterable<string>; groups?: Iterable<string> }): void {
    const graph = this.said.get();
    const groups = new Set(ids.groups ?? []);
    for (const group of graph.groups.values()) {
      if (ancestors(graph, group.id).some(each => groups.has(each))) {
        groups.add(group.id);
      }
    }
    const nodes = new Set(ids.nodes ?? []);
    for (const node of graph.nodes.values()) {
      if (groups.has(node.group)) {
        nodes.add(node.id);
      }
    }
    this.change(() => {
      for (const id of ids.edges ?? []) {
        this.edges.delete(id);
      }
      for (const [id, edge] of this.edges.entries()) {
        if (nodes.has(field(edge, 'source')) || nodes.has(field(edge, 'target'))) {
          this.edges.delete(id);
        }
      }
      const left = new Set<string>();
      for (const id of nodes) {
        const group = graph.nodes.get(id)?.group;
        if (group) {
          left.add(group);
        }
        this.nodes.delete(id);
        this.layout.delete(id);
      }
      for (const id of groups) {
        this.groups.delete(id);
      }
      this.dropEmpty(left);
    });
  }

  /** Connect; an edge that ends at a port which takes only one is replaced. */
  connect(ends: Ends, many: boolean): string {
    return this.change(() => {
      const others = [...this.said.get().edges.values()].filter(
        edge => edge.target === ends.target && edge.port === ends.port
      );
      const id = edgeId(ends);
      if (!many) {
        for (const edge of others) {
          if (edge.id !== id) {
            this.edges.delete(edge.id);
          }
        }
      }
      const order = many ? 1 + Math.max(-1, ...others.map(edge => edge.order)) : 0;
      return this.putEdge(ends, order);
    });
  }

  disconnect(id: string): void {
    this.remove({ edges: [id] });
  }

  /** Change the order in which a port that takes several joins them. */
  setOrder(id: string, order: number): void {
    const edge = this.said.get().edges.get(id);
    if (edge) {
      this.change(() => this.putEdge(edge, order, id));
    }
  }

  move(places: Iterable<readonly [string, Place]>, gesture = ''): void {
    this.change(() => {
      for (const [id, [x, y]] of places) {
        const old = this.read.layout.get(id);
        if (this.nodes.has(id) && (old?.[0] !== x || old[1] !== y)) {
          this.layout.set(id, [x, y]);
        }
      }
    }, gesture);
  }

  /** @param value - Undefined gives the parameter its default. */
  setParam(id: string, name: string, value: Json | undefined): void {
    const node = this.nodes.get(id);
    if (!(node instanceof Y.Map)) {
      return;
    }
    this.change(() => {
      let params: unknown = node.get('params');
      if (!(params instanceof Y.Map)) {
        params = new Y.Map(Object.entries(plainRecord(params)));
        node.set('params', params);
      }
      put(params as Held, name, value);
    }, `${id}/${name}`);
  }

  rename(id: string, name: string): void {
    const node = this.nodes.get(id) ?? this.groups.get(id);
    if (node instanceof Y.Map) {
      this.change(() => put(node as Held, 'name', name || undefined), `${id}/`);
    }
  }

  /** The id of the new group; empty if there is nothing to group. */
  group(ids: Iterable<string>, name: string): string {
    const graph = this.said.get();
    const nodes = [...ids].filter(id => graph.nodes.has(id));
    if (nodes.length === 0) {
      return '';
    }
    const left = new Set(nodes.map(id => graph.nodes.get(id)!.group));
    return this.change(() => {
      const id = freshId('group', each => this.groups.has(each));
      const parent = left.size === 1 ? [...left][0]! : '';
      this.putGroup({ id, name, folded: false, parent });
      for (const each of nodes) {
        (this.nodes.get(each) as Held).set('group', id);
      }
      left.delete(parent);
      this.dropEmpty(left);
      return id;
    });
  }

  /** Its nodes, and the groups in it, come to the group it was in. */
  ungroup(id: string): void {
    const group = this.said.get().groups.get(id);
    if (!group) {
      return;
    }
    this.change(() => {
      for (const [map, name] of [
        [this.nodes, 'group'],
        [this.groups, 'parent']
      ] as const) {
        for (const each of map.values()) {
          if (each instanceof Y.Map && each.get(name) === id) {
            put(each as Held, name, group.parent || undefined);
          }
        }
      }
      this.groups.delete(id);
    });
  }

  fold(id: string, folded: boolean): void {
    const group = this.groups.get(id);
    if (group instanceof Y.Map) {
      this.change(() => group.set('folded', folded));
    }
  }

  setTraining(name: string, value: Json | undefined): void {
    this.change(() => put(this.training, name, value), `training/${name}`);
  }

  /** Say what it is for, or no longer (undefined): several at once are one step back. */
  setData(values: Readonly<Record<string, Json | undefined>>): void {
    this.change(() => {
      for (const [name, value] of Object.entries(values)) {
        put(this.data, name, value);
      }
    });
  }

  /** The ids that the nodes and groups of a fragment have here, by those they had. */
  paste(fragment: Fragment, by: Place): ReadonlyMap<string, string> {
    return this.change(() => {
      const named = new Map<string, string>();
      for (const group of fragment.groups) {
        named.set(group.id, freshId('group', id => this.groups.has(id)));
        this.putGroup({ ...group, id: named.get(group.id)!, parent: '' });
      }
      for (const group of fragment.groups) {
        const parent = named.get(group.parent);
        if (parent) {
          (this.groups.get(named.get(group.id)!) as Held).set('parent', parent);
        }
      }
      for (const node of fragment.nodes) {
        const id = freshId(node.layer, each => this.nodes.has(each));
        named.set(node.id, id);
        this.putNode({ ...node, id, group: named.get(node.group) ?? '' });
        this.layout.set(id, [node.at[0] + by[0], node.at[1] + by[1]]);
      }
      for (const edge of fragment.edges) {
        const [source, target] = [named.get(edge.source), named.get(edge.target)];
        if (source && target) {
          this.putEdge({ ...edge, source, target }, edge.order);
        }
      }
      return named;
    });
  }

  destroy(): void {
    this.undoing.destroy();
    this.doc.destroy();
  }

  // --- How it is written and read ----------------------------------------------------------

  private putNode({ id, layer, params, name, group }: GraphNode): void {
    const node = new Y.Map<unknown>();
    node.set('layer', layer);
    node.set('params', new Y.Map(Object.entries(params)));
    if (name) {
      node.set('name', name);
    }
    if (group) {
      node.set('group', group);
    }
    this.nodes.set(id, node);
  }

  private putGroup({ id, name, folded, parent }: GraphGroup): void {
    this.groups.set(id, new Y.Map<unknown>(Object.entries({ name, folded, parent })));
  }

  private putEdge(ends: Ends, order: number, id = edgeId(ends)): string {
    const { source, target, port, output } = ends;
    this.edges.set(id, { source, target, port, output, ...(order ? { order } : {}) });
    return id;
  }

  /** Groups that nothing is in any more go with what was in them last. */
  private dropEmpty(groups: Iterable<string>): void {
    for (const id of groups) {
      const used =
        [...this.nodes.values()].some(each => mapField(each, 'group') === id) ||
        [...this.groups.values()].some(each => mapField(each, 'parent') === id);
      if (!used && this.groups.has(id)) {
        const parent = mapField(this.groups.get(id), 'parent');
        this.groups.delete(id);
        this.dropEmpty(parent ? [parent] : []);
      }
    }
  }

  private reread(name: 'nodes' | 'edges' | 'layout' | 'groups', id: string): void {
    const value: unknown = this[name].get(id);
    const keep = <T>(held: Map<string, T>, found: T | null): void => {
      if (found === null) {
        held.delete(id);
      } else if (JSON.stringify(held.get(id)) !== JSON.stringify(found)) {
        held.set(id, found);
      }
    };
    switch (name) {
      case 'nodes':
        keep(this.read.nodes, readNode(id, value));
        break;
      case 'edges':
        keep(this.read.edges, readEdge(id, value));
        break;
      case 'layout':
        keep(this.read.layout, readPlace(value));
        break;
      case 'groups':
        keep(this.read.groups, readGroup(id, value));
        break;
    }
  }

  /** A map, a node, a place stays the same object while it says the same. */
  private normalised(old: Graph | null): Graph {
    const { read } = this;
    const groups = sorted(read.groups, group => {
      const parent = endless(read.groups, group) ? '' : group.parent;
      return parent === group.parent ? group : (old?.groups.get(group.id) ?? { ...group, parent });
    });
    const nodes = sorted(read.nodes, node => {
      if (!node.group || read.groups.has(node.group)) {
        return node;
      }
      const before = old?.nodes.get(node.id);
      return before?.group === '' && before.params === node.params && before.name === node.name
        ? before
        : { ...node, group: '' };
    });
    const edges = sorted(read.edges, edge =>
      read.nodes.has(edge.source) && read.nodes.has(edge.target) ? edge : null
    );
    const layout = sorted(read.layout, (place, id) => (read.nodes.has(id) ? place : null));
    const graph: Graph = {
      nodes: same(old?.nodes, nodes),
      edges: same(old?.edges, edges),
      layout: same(old?.layout, layout),
      groups: same(old?.groups, groups),
      training: sameRecord(old?.training, plainRecord(this.training)),
      data: sameRecord(old?.data, plainRecord(this.data)),
      meta: sameRecord(old?.meta, plainRecord(this.meta))
    };
    return old && (Object.keys(graph) as (keyof Graph)[]).every(key => graph[key] === old[key])
      ? old
      : graph;
  }
}

/** The groups around a group, the nearest first, without itself. */
export function ancestors(graph: Pick<Graph, 'groups'>, id: string): string[] {
  const found: string[] = [];
  let parent = graph.groups.get(id)?.parent ?? '';
  while (parent && parent !== id && !found.includes(parent)) {
    found.push(parent);
    parent = graph.groups.get(parent)?.parent ?? '';
  }
  return found;
}

/** Whether its parents lead nowhere: to a group that is not there, or round in a circle. */
function endless(groups: ReadonlyMap<string, GraphGroup>, group: GraphGroup): boolean {
  if (group.parent && !groups.has(group.parent)) {
    return true;
  }
  const seen = new Set<string>();
  for (let id = group.id; id; id = groups.get(id)?.parent ?? '') {
    if (seen.has(id)) {
      // Only the first of the circle loses its parent.
      return group.id === [...seen].sort()[0];
    }
    seen.add(id);
  }
  return false;
}

function put(map: Held, name: string, value: unknown): void {
  if (value === undefined) {
    map.delete(name);
  } else if (JSON.stringify(counted(map.get(name))) !== JSON.stringify(value)) {
    map.set(name, value);
  }
}

function field(value: unknown, name: string): string {
  const found: unknown =
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : '';
  return typeof found === 'string' ? found : '';
}

function mapField(value: unknown, name: string): string {
  const found: unknown = value instanceof Y.Map ? value.get(name) : '';
  return typeof found === 'string' ? found : '';
}

/** As JSON: whole numbers of 64 bits, as a kernel may write them, become the nearest it has. */
function counted(value: unknown): unknown {
  if (value instanceof Y.AbstractType) {
    return counted(value.toJSON());
  }
  if (typeof value === 'bigint') {
    return Number(value);
  }
  if (Array.isArray(value)) {
    return value.map(counted);
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, counted(each)]))
    : value;
}

function plainRecord(value: unknown): Record<string, Json> {
  const plain = counted(value);
  return typeof plain === 'object' && plain !== null && !Array.isArray(plain)
    ? (plain as Record<string, Json>)
    : {};
}

function readNode(id: string, value: unknown): GraphNode | null {
  const layer = mapField(value, 'layer');
  return layer
    ? {
        id,
        layer,
        params: plainRecord((value as Held).get('params')),
        name: mapField(value, 'name'),
        group: mapField(value, 'group')
      }
    : null;
}

function readEdge(id: string, value: unknown): GraphEdge | null {
  const plain = plainRecord(value);
  const [source, target] = [field(plain, 'source'), field(plain, 'target')];
  const order = plain.order;
  return source && target
    ? {
        id,
        source,
        target,
        port: field(plain, 'port') || 'in',
        output: field(plain, 'output') || 'out',
        order: typeof order === 'number' && Number.isFinite(order) ? order : 0
      }
    : null;
}

function readPlace(value: unknown): Place | null {
  return Array.isArray(value) && value.length === 2 && value.every(each => Number.isFinite(each))
    ? [Number(value[0]), Number(value[1])]
    : null;
}

function readGroup(id: string, value: unknown): GraphGroup | null {
  return value instanceof Y.Map
    ? {
        id,
        name: mapField(value, 'name'),
        folded: value.get('folded') === true,
        parent: mapField(value, 'parent')
      }
    : null;
}

function sorted<T>(
  held: ReadonlyMap<string, T>,
  choose: (value: T, id: string) => T | null
): Map<string, T> {
  const found = new Map<string, T>();
  for (const id of [...held.keys()].sort()) {
    const chosen = choose(held.get(id)!, id);
    if (chosen !== null) {
      found.set(id, chosen);
    }
  }
  return found;
}

function same<T>(old: ReadonlyMap<string, T> | undefined, now: Map<string, T>): ReadonlyMap<string, T> {
  if (old?.size !== now.size) {
    return now;
  }
  for (const [id, value] of now) {
    if (old.get(id) !== value) {
      return now;
    }
  }
  return old;
}

function sameRecord(
  old: Readonly<Record<string, Json>> | undefined,
  now: Record<string, Json>
): Readonly<Record<string, Json>> {
  return old && JSON.stringify(old) === JSON.stringify(now) ? old : now;
}

/** One open document in one window: its room, what is chosen, and all that can be done to it. */

import { GraphDocument, type Ends, type Place } from './document.ts';
import { Room, type Presence, type RoomOptions } from './room.ts';
import {
  aligned,
  arranged,
  distributed,
  free,
  placed,
  type Box,
  type Side
} from './state/arrange.ts';
import { fragment, read, write } from './state/clipboard.ts';
import {
  called,
  hiddenIn,
  members,
  portsOf,
  takesMany,
  whyNot,
  type Layers,
  type NodePorts,
  type WhyNot
} from './state/graph.ts';
import { Store, type Readable } from './store.ts';
import { size, time } from './tokens.ts';
import type { Words } from './words.ts';
import type { Layer } from './wire.ts';

export interface Selection {
  readonly nodes: ReadonlySet<string>;
  readonly edges: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
}

export const NONE: Selection = { nodes: new Set(), edges: new Set(), groups: new Set() };

export interface SessionOptions {
  url: string;
  words: Words;
  /** Whether the host lets this person change it; the service has the last word. */
  mayWrite: boolean;
  prepare?: (() => Promise<unknown>) | undefined;
  open?: RoomOptions['open'];
}

/** Others in a word: who has chosen a node. */
export type Watcher = Pick<Presence, 'client' | 'name' | 'color'>;

export class Session {
  readonly document = new GraphDocument();
  readonly room: Room;
  readonly words: Words;
  readonly selection = new Store<Selection>(NONE);
  /** The layer table; null before it came. */
  readonly layers = new Store<Layers | null>(null);
  /** A short word about what was just done or could not be. */
  readonly told = new Store<{ text: string } | null>(null);
  readonly mayWrite: Readable<boolean>;
  /** Who is here, without where they point. */
  readonly roster: Readable<readonly Watcher[]>;
  /** Who has chosen what. */
  readonly watched: Readable<ReadonlyMap<string, readonly Watcher[]>>;
  /** Whose view is followed; null if nobody's. */
  readonly following = new Store<number | null>(null);
  private readonly write = new Store(false);
  private readonly here = new Store<readonly Watcher[]>([]);
  private readonly chosen = new Store<ReadonlyMap<string, readonly Watcher[]>>(new Map());
  private readonly allowed: boolean;
  private copied = '';
  private pastes = 0;
  private quiet: ReturnType<typeof setTimeout> | undefined;
  /** The middle of what is seen, in the graph's pixels; the canvas says. */
  middle: () => Place = () => [0, 0];
  /** Show some nodes, or all; the canvas does. */
  reveal: (ids?: readonly string[]) => void = () => undefined;

  constructor(options: SessionOptions) {
    this.words = options.words;
    this.allowed = options.mayWrite;
    this.mayWrite = this.write;
    this.roster = this.here;
    this.watched = this.chosen;
    this.room = new Room({
      url: options.url,
      doc: this.document.doc,
      prepare: options.prepare,
      ...(options.open ? { open: options.open } : {})
    });
    this.room.show({ cursor: null, selection: [], camera: null });
    this.room.state.subscribe(this.onRights);
    this.document.graph.subscribe(this.onGraph);
    this.room.people.subscribe(this.onPeople);
    this.selection.subscribe(this.onSelection);
  }

  leave(): void {
    clearTimeout(this.quiet);
    this.room.leave();
  }

  say(text: string): void {
    clearTimeout(this.quiet);
    this.told.set({ text });
    this.quiet = setTimeout(() => this.told.set(null), time.told);
  }

  // --- Reading -----------------------------------------------------------------------------

  ports(): ReadonlyMap<string, NodePorts> {
    return portsOf(this.document.graph.get(), this.layers.get() ?? new Map());
  }

  sizeOf(ports: NodePorts | undefined): { width: number; height: number } {
    const most = Math.max(ports?.inputs.length ?? 0, ports?.outputs.length ?? 0);
    return {
      width: Math.max(size.node.width, (most + 1) * size.node.port),
      height: size.node.height
    };
  }

  places(): ReadonlyMap<string, Place> {
    const ports = this.ports();
    return placed(this.document.graph.get(), id => this.sizeOf(ports.get(id)));
  }

  /** Where the chosen nodes stand, those of chosen groups included. */
  private boxes(): Map<string, Box> {
    const [ports, places] = [this.ports(), this.places()];
    return new Map(
      [...this.meant()].map(id => {
        const [x, y] = places.get(id) ?? [0, 0];
        return [id, { x, y, ...this.sizeOf(ports.get(id)) }];
      })
    );
  }

  /** The nodes that are chosen, with those of the chosen groups. */
  meant(): Set<string> {
    const { nodes, groups } = this.selection.get();
    const graph = this.document.graph.get();
    const found = new Set([...nodes].filter(id => graph.nodes.has(id)));
    for (const group of groups) {
      for (const node of members(graph, group)) {
        found.add(node.id);
      }
    }
    return found;
  }

  // --- Choosing ----------------------------------------------------------------------------

  select(part: Partial<Selection>): void {
    this.selection.set({ ...NONE, ...part });
  }

  /** Choose one node and show it. */
  go(id: string): void {
    const node = this.document.graph.get().nodes.get(id);
    if (node) {
      const hidden = hiddenIn(this.document.graph.get(), node.group);
      this.select({ nodes: new Set([id]) });
      this.reveal([hidden ? groupNode(hidden) : id]);
    }
  }

  toggle(id: string): void {
    const nodes = new Set(this.selection.get().nodes);
    if (!nodes.delete(id)) {
      nodes.add(id);
    }
    this.select({ nodes });
  }

  selectAll(): void {
    this.select({ nodes: new Set(this.document.graph.get().nodes.keys()) });
  }

  // --- Doing -------------------------------------------------------------------------------

  add(layer: Layer, at: Place | null, chain = false): void {
    if (!this.may()) {
      return;
    }
    const [only] = this.selection.get().nodes;
    const places = this.places();
    const from = only === undefined ? undefined : places.get(only);
    const wanted: Place =
      at ?? (from ? [from[0], from[1] + size.node.height + size.gap.y] : this.centred());
    const [port, output] = [
      layer.ports[0],
      this.layers.get()?.get(this.document.graph.get().nodes.get(only ?? '')?.layer ?? '')?.outputs[0]
    ];
    const connect =
      chain && only !== undefined && port && output
        ? { source: only, output: output.name, port: port.name }
        : null;
    const id = this.document.addNode(
      layer.name,
      at ?? free(places.values(), wanted),
      connect ? { connect } : {}
    );
    this.select({ nodes: new Set([id]) });
    if (at === null) {
      this.reveal([id]);
    }
    this.say(this.words.__('%1 is added.', layer.title || layer.name));
  }

  private centred(): Place {
    const [x, y] = this.middle();
    return [x - size.node.width / 2, y - size.node.height / 2];
  }

  connect(ends: Ends): void {
    if (!this.may()) {
      return;
    }
    const graph = this.document.graph.get();
    const layers = this.layers.get() ?? new Map<string, Layer>();
    const why = whyNot(graph, layers, ends);
    if (why) {
      this.say(this.because(why));
      return;
    }
    this.document.connect(ends, takesMany(graph, layers, ends.target, ends.port));
    this.say(this.words.__('%1 is connected to %2.', this.name(ends.source), this.name(ends.target)));
  }

  name(id: string): string {
    const node = this.document.graph.get().nodes.get(id);
    return node ? called(node) : id;
  }

  because(why: WhyNot): string {
    const { words } = this;
    return {
      itself: words.__('A layer cannot be connected to itself.'),
      circle: words.__('That would make a circle: what is computed must flow one way.'),
      twice: words.__('These are connected already.'),
      'no-port': words.__('The layer has no such end.'),
      gone: words.__('One of the layers is gone.')
    }[why];
  }

  removeSelected(): void {
    if (!this.may()) {
      return;
    }
    const { edges, groups } = this.selection.get();
    const nodes = this.meant();
    if (nodes.size + edges.size + groups.size > 0) {
      this.document.remove({ nodes, edges, groups });
      this.say(
        nodes.size > 0
          ? this.words._n('%1 layer is removed.', '%1 layers are removed.', nodes.size)
          : this.words._n('%1 connection is removed.', '%1 connections are removed.', edges.size)
      );
    }
  }

  disconnect(edge: string): void {
    if (this.may()) {
      this.document.disconnect(edge);
      this.say(this.words.__('The connection is removed.'));
    }
  }

  /** The chosen part as text; empty if nothing is chosen. */
  copy(): string {
    const ids = this.meant();
    if (ids.size === 0) {
      return '';
    }
    this.copied = write(fragment(this.document.graph.get(), this.places(), ids));
    this.pastes = 0;
    this.say(this.words._n('%1 layer is copied.', '%1 layers are copied.', ids.size));
    return this.copied;
  }

  /** Put in what was copied, here or in another document. */
  paste(text = this.copied): void {
    const part = read(text);
    if (!part || part.nodes.length === 0) {
      this.say(this.words.__('The clipboard holds no layers.'));
      return;
    }
    if (!this.may()) {
      return;
    }
    this.pastes = text === this.copied ? this.pastes + 1 : 1;
    this.copied = text;
    const by = size.paste * this.pastes;
    const named = this.document.paste(part, [by, by]);
    const nodes = part.nodes.map(node => named.get(node.id)!);
    this.select({ nodes: new Set(nodes) });
    this.reveal(nodes);
    this.say(this.words._n('%1 layer is added.', '%1 layers are added.', nodes.length));
  }

  duplicate(): void {
    const ids = this.meant();
    if (ids.size > 0 && this.may()) {
      const part = fragment(this.document.graph.get(), this.places(), ids);
      const named = this.document.paste(part, [size.paste, size.paste]);
      this.select({ nodes: new Set(part.nodes.map(node => named.get(node.id)!)) });
    }
  }

  group(): void {
    if (this.may()) {
      const { size: count } = this.document.graph.get().groups;
      const id = this.document.group(this.meant(), this.words.__('Group %1', count + 1));
      if (id) {
        this.select({ groups: new Set([id]) });
      }
    }
  }

  ungroup(): void {
    if (this.may()) {
      const nodes = this.meant();
      for (const id of this.selection.get().groups) {
        this.document.ungroup(id);
      }
      this.select({ nodes });
    }
  }

  align(side: Side): void {
    this.moveTo(aligned(this.boxes(), side));
  }

  distribute(axis: 'x' | 'y'): void {
    this.moveTo(distributed(this.boxes(), axis));
  }

  /** Lay out what is chosen, else all. */
  arrange(): void {
    const graph = this.document.graph.get();
    const chosen = this.meant();
    const ids = chosen.size > 1 ? [...chosen] : [...graph.nodes.keys()];
    const ports = this.ports();
    this.moveTo(arranged(graph, ids, id => this.sizeOf(ports.get(id)), this.places()));
    this.reveal();
  }

  nudge(dx: number, dy: number): void {
    const boxes = this.boxes();
    this.moveTo(
      new Map([...boxes].map(([id, { x, y }]) => [id, [x + dx, y + dy] as const])),
      'nudge'
    );
  }

  private moveTo(places: ReadonlyMap<string, Place>, gesture = ''): void {
    if (places.size > 0 && this.may()) {
      this.document.move(places, gesture);
    }
  }

  undo(): void {
    if (this.may()) {
      this.document.undo();
    }
  }

  redo(): void {
    if (this.may()) {
      this.document.redo();
    }
  }

  private may(): boolean {
    if (!this.write.get()) {
      this.say(this.words.__('You may look at this graph, not change it.'));
    }
    return this.write.get();
  }

  // --- What follows from what --------------------------------------------------------------

  private readonly onRights = (): void => {
    const { hello, synced } = this.room.state.get();
    this.write.set(
      this.allowed && synced && (hello?.may_write ?? false) && !this.document.newer
    );
  };

  private readonly onGraph = (): void => {
    this.onRights();
    const graph = this.document.graph.get();
    const old = this.selection.get();
    const keep = (ids: ReadonlySet<string>, map: ReadonlyMap<string, unknown>): ReadonlySet<string> =>
      [...ids].every(id => map.has(id)) ? ids : new Set([...ids].filter(id => map.has(id)));
    const next: Selection = {
      nodes: keep(old.nodes, graph.nodes),
      edges: keep(old.edges, graph.edges),
      groups: keep(old.groups, graph.groups)
    };
    if (next.nodes !== old.nodes || next.edges !== old.edges || next.groups !== old.groups) {
      this.selection.set(next);
    }
  };

  private readonly onSelection = (): void => {
    const { nodes, groups } = this.selection.get();
    this.room.show({ selection: [...nodes, ...groups].slice(0, 500) });
  };

  private readonly onPeople = (): void => {
    const people = this.room.people.get();
    const roster = people.map(({ client, name, color }) => ({ client, name, color }));
    if (JSON.stringify(roster) !== JSON.stringify(this.here.get())) {
      this.here.set(roster);
    }
    const watched = new Map<string, Watcher[]>();
    for (const [at, { selection }] of people.entries()) {
      for (const id of selection) {
        watched.set(id, [...(watched.get(id) ?? []), roster[at]!]);
      }
    }
    const old = this.chosen.get();
    if (JSON.stringify([...watched]) !== JSON.stringify([...old])) {
      for (const [id, list] of watched) {
        const before = old.get(id);
        if (before && JSON.stringify(before) === JSON.stringify(list)) {
          watched.set(id, before as Watcher[]);
        }
      }
      this.chosen.set(watched);
    }
    const followed = this.following.get();
    if (followed !== null && !people.some(each => each.client === followed)) {
      this.following.set(null);
    }
  };
}

/** What a group is called among what the canvas draws; a node's id has no colon. */
export function groupNode(id: string): string {
  return `group:${id}`;
}

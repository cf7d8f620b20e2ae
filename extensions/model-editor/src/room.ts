/**
 * The connection to a document's room: what is changed here goes there and comes from there, and
 * is counted until the service has it on disk. It connects again by itself and keeps the document.
 */

import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import {
  Awareness,
  applyAwarenessUpdate,
  encodeAwarenessUpdate,
  removeAwarenessStates
} from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeUpdate, messageYjsSyncStep1 } from 'y-protocols/sync';
import type * as Y from 'yjs';
import { NOTHING, understood, type Meaning } from './meaning.ts';
import { Store, type Readable } from './store.ts';
import { time } from './tokens.ts';
import { MESSAGE, type Hello, type MeaningMessage, type Notice } from './wire.ts';

/** What the room needs of a WebSocket. */
export interface Socket {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: never) => void) | null;
  send: (data: Uint8Array<ArrayBuffer>) => void;
  close: () => void;
}

export interface RoomOptions {
  url: string;
  doc: Y.Doc;
  /** Called before each try: signs in again if need be. */
  prepare?: (() => Promise<unknown>) | undefined;
  open?: (url: string) => Socket;
}

export interface RoomState {
  readonly connection: 'connecting' | 'open' | 'waiting' | 'closed';
  /** Whether the document was here in full at least once. */
  readonly synced: boolean;
  /** Changes made here that are not on the service's disk yet. */
  readonly unsafe: number;
  /** Null before the first word of the service. */
  readonly hello: Hello | null;
  /** The newest comes last. */
  readonly notices: readonly Notice[];
}

/** Who else is here. `user` is stamped by the service, the rest is their own. */
export interface Presence {
  readonly client: number;
  readonly name: string;
  readonly color: string;
  readonly cursor: { x: number; y: number } | null;
  readonly selection: readonly string[];
  /** The middle of what they see, in the graph's pixels, and how large they see it. */
  readonly camera: { x: number; y: number; zoom: number } | null;
}

/** What the window says of itself. */
export type Shown = Partial<Pick<Presence, 'cursor' | 'selection' | 'camera'>>;

/** `https://host/services/studio/` → `wss://host/services/studio/api/v1/documents/room?…`. */
export function roomUrl(base: string, at: string, id: string, project: string): string {
  const url = new URL(`${base}api/v1/documents/room`, at);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('id', id);
  url.searchParams.set('project', project);
  return url.href;
}

/** Closing codes by which the service says that it will not let this person in. */
const NEVER = new Set([4403, 4404]);

/** The browser's page; a kernel has none. */
const page: Partial<
  Pick<Window, 'addEventListener' | 'removeEventListener' | 'document'>
> = globalThis;

/** How many notices are kept. */
const NOTICES = 5;

export class Room {
  readonly awareness: Awareness;
  readonly state: Readable<RoomState>;
  readonly meaning: Readable<Meaning>;
  readonly people: Readable<readonly Presence[]>;
  private readonly options: RoomOptions;
  private readonly told = new Store<RoomState>({
    connection: 'connecting',
    synced: false,
    unsafe: 0,
    hello: null,
    notices: []
  });
  private readonly understanding = new Store<Meaning>(NOTHING);
  private readonly others = new Store<readonly Presence[]>([]);
  private socket: Socket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lingering: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;
  private gone = false;
  private leaving = false;
  /** Whether this connection has answered what the service lacks: from then on changes are sent. */
  private answered = false;
  /** Of each message with changes that was sent on this connection, how many changes are in it. */
  private inflight: number[] = [];
  /** Of the messages of this connection, how many are on disk. */
  private stored = 0;
  /** Changes that no message of this connection has. */
  private unsent = 0;
  /** The highest number that this window knows to have been on disk. */
  private highest = -1;

  constructor(options: RoomOptions) {
    this.options = options;
    this.state = this.told;
    this.meaning = this.understanding;
    this.people = this.others;
    this.awareness = new Awareness(options.doc);
    this.awareness.on('update', this.onAwareness);
    options.doc.on('update', this.onUpdate);
  }

  connect(): void {
    page.addEventListener?.('online', this.hurry);
    page.document?.addEventListener('visibilitychange', this.onVisible);
    void this.open();
  }

  /** Try now, whatever the next try waits for. */
  readonly hurry = (): void => {
    if (!this.socket && !this.gone && this.told.get().connection !== 'connecting') {
      this.failures = 0;
      void this.open();
    }
  };

  /** Go, as soon as all that was changed here is safe or it has waited long enough. */
  leave(): void {
    this.leaving = true;
    this.awareness.setLocalState(null);
    if (this.told.get().unsafe === 0 || !this.socket) {
      this.destroy();
    } else {
      this.lingering = setTimeout(() => this.destroy(), time.linger);
    }
  }

  destroy(): void {
    if (this.gone) {
      return;
    }
    this.gone = true;
    clearTimeout(this.timer);
    clearTimeout(this.lingering);
    page.removeEventListener?.('online', this.hurry);
    page.document?.removeEventListener('visibilitychange', this.onVisible);
    this.options.doc.off('update', this.onUpdate);
    this.awareness.off('update', this.onAwareness);
    this.socket?.close();
    this.socket = null;
    this.awareness.destroy();
    this.told.put({ connection: 'closed' });
  }

  show(shown: Shown): void {
    const old = this.awareness.getLocalState();
    if (old) {
      this.awareness.setLocalState({ ...old, ...shown });
    }
  }

  dismiss(notice: Notice): void {
    this.told.put({ notices: this.told.get().notices.filter(each => each !== notice) });
  }

  private readonly onVisible = (): void => {
    if (page.document?.visibilityState === 'visible') {
      this.hurry();
    }
  };

  private async open(): Promise<void> {
    clearTimeout(this.timer);
    this.told.put({ connection: 'connecting' });
    try {
      await this.options.prepare?.();
    } catch {
      this.later();
      return;
    }
    if (this.stopped() || this.socket) {
      return;
    }
    const make = this.options.open ?? ((url: string): Socket => new WebSocket(url));
    const socket = make(this.options.url);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    this.answered = false;
    socket.onmessage = event => {
      if (socket === this.socket) {
        this.receive(new Uint8Array(event.data as ArrayBuffer));
      }
    };
    socket.onclose = event => {
      if (socket === this.socket) {
        if (NEVER.has(event.code)) {
          this.onNotice({ kind: 'closed', text: event.reason, hint: '' });
        }
        this.lost();
      }
    };
    socket.onerror = () => {
      // A close follows, which says the same.
    };
  }

  private stopped(): boolean {
    return this.gone;
  }

  private lost(): void {
    this.socket = null;
    this.unsent += sum(this.inflight.slice(this.stored));
    this.inflight = [];
    this.stored = 0;
    this.answered = false;
    const others = [...this.awareness.getStates().keys()].filter(
      client => client !== this.awareness.clientID
    );
    removeAwarenessStates(this.awareness, others, this);
    for (const client of others) {
      // So that who has not moved meanwhile is seen again.
      this.awareness.meta.delete(client);
    }
    this.count();
    if (this.gone) {
      return;
    }
    if (this.leaving) {
      this.destroy();
    } else if (this.told.get().connection !== 'closed') {
      this.later();
    }
  }

  private later(): void {
    if (this.gone) {
      return;
    }
    const wait = Math.min(time.retry.most, time.retry.first * 2 ** this.failures);
    this.failures += 1;
    this.told.put({ connection: 'waiting' });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.open(), wait);
  }

  private receive(data: Uint8Array): void {
    const decoder = decoding.createDecoder(data);
    switch (decoding.readVarUint(decoder)) {
      case MESSAGE.sync:
        this.onSync(decoder);
        break;
      case MESSAGE.awareness:
        applyAwarenessUpdate(this.awareness, decoding.readVarUint8Array(decoder), this);
        break;
      case MESSAGE.acknowledgement:
        this.onStored(decoding.readVarUint(decoder), decoding.readVarUint(decoder));
        break;
      case MESSAGE.meaning:
        this.understanding.set(
          understood(this.understanding.get(), json(decoder) as MeaningMessage)
        );
        break;
      case MESSAGE.notice:
        this.onNotice(json(decoder) as Notice);
        break;
      case MESSAGE.hello:
        this.onHello(json(decoder) as Hello);
        break;
      default:
      // A later service may say more.
    }
  }

  private onHello(hello: Hello): void {
    const back = hello.seq < this.highest;
    this.failures = 0;
    this.highest = hello.seq;
    this.told.put({ hello, connection: 'open' });
    if (back) {
      this.onNotice({ kind: 'restored', text: '', hint: '' });
    }
    const own = this.awareness.getLocalState();
    if (own !== null) {
      // When a connection ends, the service tells the others that this window is gone, as the next
      // of its changes: only the one after that is news to them.
      this.awareness.setLocalState(own);
      this.awareness.setLocalState(own);
    }
  }

  private onSync(decoder: decoding.Decoder): void {
    const peek = decoding.clone(decoder);
    const kind = decoding.readVarUint(peek);
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, MESSAGE.sync);
    if (kind === messageYjsSyncStep1 && !this.mayWrite()) {
      // Nothing of ours may go there; what is there comes here all the same.
      this.ask();
      return;
    }
    readSyncMessage(decoder, encoder, this.options.doc, this);
    if (kind === messageYjsSyncStep1) {
      this.inflight.push(this.unsent);
      this.unsent = 0;
      this.send(encoder);
      if (!this.answered) {
        this.answered = true;
        this.ask();
      }
    } else {
      this.told.put({ synced: true });
    }
    this.count();
  }

  private ask(): void {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, MESSAGE.sync);
    writeSyncStep1(encoder, this.options.doc);
    this.send(encoder);
  }

  private onStored(count: number, seq: number): void {
    this.stored = Math.max(this.stored, Math.min(count, this.inflight.length));
    this.highest = Math.max(this.highest, seq);
    this.count();
    if (this.leaving && this.told.get().unsafe === 0) {
      this.destroy();
    }
  }

  private onNotice(notice: Notice): void {
    const { notices } = this.told.get();
    const others = notices.filter(
      each => each.kind !== notice.kind || each.text !== notice.text || each.hint !== notice.hint
    );
    this.told.put({ notices: [...others, notice].slice(-NOTICES) });
    if (notice.kind === 'closed') {
      // The service does not want this window any more: only the person tries again.
      this.told.put({ connection: 'closed' });
      this.socket?.close();
    }
  }

  private readonly onUpdate = (update: Uint8Array, origin: unknown): void => {
    if (origin === this) {
      return;
    }
    if (this.socket && this.answered && this.mayWrite()) {
      const encoder = encoding.createEncoder();
      encoding.writeVarUint(encoder, MESSAGE.sync);
      writeUpdate(encoder, update);
      this.inflight.push(1);
      this.send(encoder);
    } else {
      this.unsent += 1;
    }
    this.count();
  };

  private readonly onAwareness = (
    { added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>,
    origin: unknown
  ): void => {
    if (origin !== this && [...added, ...updated, ...removed].includes(this.awareness.clientID)) {
      this.sendAwareness([this.awareness.clientID]);
    }
    const found: Presence[] = [];
    for (const [client, state] of this.awareness.getStates()) {
      if (client !== this.awareness.clientID) {
        found.push(presence(client, state));
      }
    }
    found.sort((a, b) => a.client - b.client);
    if (JSON.stringify(found) !== JSON.stringify(this.others.get())) {
      this.others.set(found);
    }
  };

  private sendAwareness(clients: number[]): void {
    if (this.told.get().connection === 'open') {
      const encoder = encoding.createEncoder();
      encoding.writeVarUint(encoder, MESSAGE.awareness);
      encoding.writeVarUint8Array(encoder, encodeAwarenessUpdate(this.awareness, clients));
      this.send(encoder);
    }
  }

  private send(encoder: encoding.Encoder): void {
    this.socket?.send(encoding.toUint8Array(encoder));
  }

  private mayWrite(): boolean {
    return this.told.get().hello?.may_write ?? false;
  }

  private count(): void {
    const unsafe = this.unsent + sum(this.inflight.slice(this.stored));
    if (unsafe !== this.told.get().unsafe) {
      this.told.put({ unsafe });
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}

function json(decoder: decoding.Decoder): unknown {
  return JSON.parse(decoding.readVarString(decoder));
}

function presence(client: number, state: Record<string, unknown>): Presence {
  const user = record(state.user);
  const cursor = record(state.cursor);
  const camera = record(state.camera);
  return {
    client,
    name: typeof user.name === 'string' ? user.name : '',
    color: typeof user.color === 'string' ? user.color : '',
    cursor: finite(cursor.x, cursor.y) ? { x: Number(cursor.x), y: Number(cursor.y) } : null,
    selection: Array.isArray(state.selection)
      ? state.selection.filter(each => typeof each === 'string')
      : [],
    camera: finite(camera.x, camera.y, camera.zoom)
      ? { x: Number(camera.x), y: Number(camera.y), zoom: Number(camera.zoom) }
      : null
  };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function finite(...values: unknown[]): boolean {
  return values.every(each => Number.isFinite(each));
}

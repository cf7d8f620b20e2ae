import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import * as Y from 'yjs';
import { Room, roomUrl, type Socket } from '../src/room.ts';

/** A service with one document, and the sockets that were opened to it. */
class Service {
  doc = new Y.Doc();
  seq = 0;
  mayWrite = true;
  /** Whether it writes what it gets at once. */
  stores = true;
  sockets: FakeSocket[] = [];
  seen: Map<number, Record<string, unknown>>[] = [];

  readonly open = (): Socket => {
    const socket = new FakeSocket(this);
    this.sockets.push(socket);
    return socket;
  };

  get last(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  hello(socket = this.last): void {
    socket.tell(103, {
      seq: this.seq,
      actor: 'person:ada',
      color: '#1f77b4',
      may_write: this.mayWrite,
      name: 'network'
    });
    socket.push(encoder => {
      encoding.writeVarUint(encoder, 0);
      writeSyncStep1(encoder, this.doc);
    });
  }
}

class FakeSocket implements Socket {
  binaryType = '';
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  edits = 0;
  closed = false;
  private readonly service: Service;

  constructor(service: Service) {
    this.service = service;
  }

  push(write: (encoder: encoding.Encoder) => void): void {
    const encoder = encoding.createEncoder();
    write(encoder);
    const data = encoding.toUint8Array(encoder);
    this.onmessage?.({ data: data.slice().buffer } as MessageEvent);
  }

  tell(kind: number, body: unknown): void {
    this.push(encoder => {
      encoding.writeVarUint(encoder, kind);
      encoding.writeVarString(encoder, JSON.stringify(body));
    });
  }

  stored(count = this.edits): void {
    this.push(encoder => {
      encoding.writeVarUint(encoder, 100);
      encoding.writeVarUint(encoder, count);
      encoding.writeVarUint(encoder, this.service.seq);
    });
  }

  send(data: Uint8Array): void {
    assert.ok(!this.closed, 'nothing is sent to a closed socket');
    const decoder = decoding.createDecoder(data);
    const kind = decoding.readVarUint(decoder);
    if (kind === 1) {
      const awareness = new Awareness(new Y.Doc());
      applyAwarenessUpdate(awareness, decoding.readVarUint8Array(decoder), null);
      this.service.seen.push(new Map(awareness.getStates()) as Map<number, Record<string, unknown>>);
      awareness.destroy();
      return;
    }
    assert.equal(kind, 0);
    const answer = encoding.createEncoder();
    encoding.writeVarUint(answer, 0);
    const step = readSyncMessage(decoder, answer, this.service.doc, this);
    if (step === 0) {
      const bytes = encoding.toUint8Array(answer);
      this.onmessage?.({ data: bytes.slice().buffer } as MessageEvent);
      return;
    }
    this.edits += 1;
    if (this.service.stores) {
      this.service.seq += 1;
      this.stored();
    }
  }

  close(code = 1000, reason = ''): void {
    if (!this.closed) {
      this.closed = true;
      this.onclose?.({ code, reason } as CloseEvent);
    }
  }
}

const soon = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

async function joined(part: Partial<Service> = {}): Promise<{ service: Service; room: Room; doc: Y.Doc }> {
  const service = Object.assign(new Service(), part);
  const doc = new Y.Doc();
  const room = new Room({ url: 'ws://x', doc, open: service.open });
  room.connect();
  await soon();
  service.hello();
  return { service, room, doc };
}

test('the address of a room', () => {
  assert.equal(
    roomUrl('/services/studio/', 'https://host:8000/user/x/lab', 'doc_1', 'prj_2'),
    'wss://host:8000/services/studio/api/v1/documents/room?id=doc_1&project=prj_2'
  );
});

test('what is there comes here, and what is changed here goes there', async () => {
  const there = new Y.Doc();
  there.getMap('nodes').set('a', 1);
  const { service, room, doc } = await joined({ doc: there });
  assert.equal(room.state.get().synced, true);
  assert.equal(room.state.get().connection, 'open');
  assert.equal(doc.getMap('nodes').get('a'), 1);
  doc.getMap('nodes').set('b', 2);
  assert.equal(service.doc.getMap('nodes').get('b'), 2);
  const update = Y.encodeStateAsUpdate(
    (() => {
      const other = new Y.Doc();
      other.getMap('nodes').set('c', 3);
      return other;
    })()
  );
  service.last.push(encoder => {
    encoding.writeVarUint(encoder, 0);
    writeUpdate(encoder, update);
  });
  assert.equal(doc.getMap('nodes').get('c'), 3);
  assert.equal(service.last.edits, 2, 'what came from there is not sent back');
  room.destroy();
});

test('changes are unsafe until they are on the disk', async () => {
  const { service, room, doc } = await joined({ stores: false });
  assert.equal(room.state.get().unsafe, 0, 'an answer without changes counts for nothing');
  doc.getMap('nodes').set('a', 1);
  doc.getMap('nodes').set('b', 1);
  assert.equal(room.state.get().unsafe, 2);
  service.last.stored(2);
  assert.equal(room.state.get().unsafe, 1);
  service.last.stored(3);
  assert.equal(room.state.get().unsafe, 0);
  room.destroy();
});

test('what is changed without a connection is kept, sent once, and counted', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { service, room, doc } = await joined({ stores: false });
  doc.getMap('nodes').set('a', 1);
  service.last.close(1006);
  assert.equal(room.state.get().connection, 'waiting');
  assert.equal(room.state.get().unsafe, 1, 'sent, and perhaps lost');
  doc.getMap('nodes').set('b', 1);
  assert.equal(room.state.get().unsafe, 2);
  mock.timers.tick(299);
  await soon();
  assert.equal(service.sockets.length, 1);
  mock.timers.tick(1);
  await soon();
  assert.equal(service.sockets.length, 2);
  service.hello();
  assert.equal(service.last.edits, 1, 'all in one answer');
  assert.equal(room.state.get().unsafe, 2);
  service.last.stored();
  assert.equal(room.state.get().unsafe, 0);
  assert.deepEqual(service.doc.getMap('nodes').toJSON(), { a: 1, b: 1 });
  room.destroy();
  mock.timers.reset();
});

test('it waits longer after each failure, ten seconds at most, and tries at once when told', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const service = new Service();
  const room = new Room({ url: 'ws://x', doc: new Y.Doc(), open: service.open });
  room.connect();
  await soon();
  for (const wait of [300, 600, 1200, 2400, 4800, 9600, 10_000, 10_000]) {
    const before = service.sockets.length;
    service.last.close(1006);
    mock.timers.tick(wait - 1);
    await soon();
    assert.equal(service.sockets.length, before);
    mock.timers.tick(1);
    await soon();
    assert.equal(service.sockets.length, before + 1);
  }
  service.last.close(1006);
  room.hurry();
  await soon();
  assert.equal(service.sockets.length, 10);
  service.hello();
  service.last.close(1006);
  mock.timers.tick(300);
  await soon();
  assert.equal(service.sockets.length, 11);
  room.destroy();
  mock.timers.reset();
});

test('a service that went back in time is told what this window has, and the person of it', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { service, room, doc } = await joined();
  doc.getMap('nodes').set('a', 1);
  doc.getMap('nodes').set('b', 1);
  assert.equal(room.state.get().unsafe, 0);
  service.doc = new Y.Doc();
  service.seq = 1;
  service.last.close(1006);
  mock.timers.tick(300);
  await soon();
  service.hello();
  assert.deepEqual(room.state.get().notices.map(each => each.kind), ['restored']);
  assert.deepEqual(service.doc.getMap('nodes').toJSON(), { a: 1, b: 1 });
  room.dismiss(room.state.get().notices[0]!);
  assert.deepEqual(room.state.get().notices, []);
  room.destroy();
  mock.timers.reset();
});

test('who may not write sends nothing, and is told', async () => {
  const there = new Y.Doc();
  there.getMap('nodes').set('a', 1);
  const { service, room, doc } = await joined({ doc: there, mayWrite: false });
  assert.equal(doc.getMap('nodes').get('a'), 1);
  doc.getMap('nodes').set('b', 1);
  assert.equal(service.last.edits, 0);
  assert.equal(room.state.get().unsafe, 1);
  service.last.tell(102, { kind: 'refused', text: 'Ada may look at this graph.', hint: '' });
  assert.equal(room.state.get().notices[0]!.kind, 'refused');
  room.destroy();
});

test('a refused change stays unsafe', async () => {
  const { service, room, doc } = await joined({ stores: false });
  service.last.stored(1);
  doc.getMap('nodes').set('a', 1);
  service.last.tell(102, { kind: 'refused', text: 'No.', hint: '' });
  service.last.tell(102, { kind: 'refused', text: 'No.', hint: '' });
  assert.equal(room.state.get().unsafe, 1);
  assert.equal(room.state.get().notices.length, 1, 'the same is said once');
  room.destroy();
});

test('who is not let in does not knock again', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const service = new Service();
  const room = new Room({ url: 'ws://x', doc: new Y.Doc(), open: service.open });
  room.connect();
  await soon();
  service.last.close(4404, 'There is no document doc_1.');
  assert.equal(room.state.get().connection, 'closed');
  assert.equal(room.state.get().notices[0]!.text, 'There is no document doc_1.');
  mock.timers.tick(60_000);
  await soon();
  assert.equal(service.sockets.length, 1);
  room.hurry();
  await soon();
  assert.equal(service.sockets.length, 2);
  room.destroy();
  mock.timers.reset();
});

test('what a graph means is merged, and what stays the same stays the same object', async () => {
  const { service, room } = await joined();
  const node = {
    outputs: { out: ['B', 32] },
    dtype: 'float32',
    parameters: 8,
    flops: null,
    activation_bytes: null,
    receptive_field: [],
    problem: '',
    hint: ''
  };
  const rest = { problems: [], parameters: 8, flops: null, activation_bytes: null };
  service.last.tell(101, { seq: 1, whole: true, nodes: { a: node, b: node }, ...rest });
  const a = room.meaning.get().nodes.get('a');
  service.last.tell(101, { seq: 2, whole: false, nodes: { b: null, c: node }, ...rest });
  assert.deepEqual([...room.meaning.get().nodes.keys()], ['a', 'c']);
  service.last.tell(101, { seq: 3, whole: true, nodes: { a: { ...node } }, ...rest });
  assert.equal(room.meaning.get().nodes.get('a'), a);
  assert.equal(room.meaning.get().nodes.size, 1);
  room.destroy();
});

test('people are seen as the service says they are, and are gone with the connection', async () => {
  const { service, room } = await joined();
  const other = new Awareness(new Y.Doc());
  other.setLocalState({
    user: { name: 'Grace', color: '#b02a2b' },
    cursor: { x: 1, y: 2 },
    selection: ['a', 7],
    camera: null
  });
  const update = encodeAwarenessUpdate(other, [other.clientID]);
  service.last.push(encoder => {
    encoding.writeVarUint(encoder, 1);
    encoding.writeVarUint8Array(encoder, update);
  });
  const [grace] = room.people.get();
  assert.deepEqual(grace, {
    client: other.clientID,
    name: 'Grace',
    color: '#b02a2b',
    cursor: { x: 1, y: 2 },
    selection: ['a'],
    camera: null
  });
  room.show({ selection: ['b'] });
  assert.deepEqual(service.seen.at(-1)!.get(room.awareness.clientID), { selection: ['b'] });
  service.last.close(1006);
  assert.deepEqual(room.people.get(), []);
  other.destroy();
  room.destroy();
});

test('who has not moved is seen again after a connection was lost, on both sides', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { service, room } = await joined();
  const other = new Awareness(new Y.Doc());
  other.setLocalState({ user: { name: 'Grace', color: '' } });
  const appear = (): void => {
    const update = encodeAwarenessUpdate(other, [other.clientID]);
    service.last.push(encoder => {
      encoding.writeVarUint(encoder, 1);
      encoding.writeVarUint8Array(encoder, update);
    });
  };
  appear();
  room.show({ selection: ['a'] });
  const clock = room.awareness.meta.get(room.awareness.clientID)!.clock;
  service.last.close(1006);
  assert.equal(room.people.get().length, 0);
  mock.timers.tick(300);
  await soon();
  service.hello();
  appear();
  assert.equal(room.people.get()[0]!.name, 'Grace');
  assert.ok(room.awareness.meta.get(room.awareness.clientID)!.clock > clock + 1);
  assert.deepEqual(service.seen.at(-1)!.get(room.awareness.clientID), { selection: ['a'] });
  other.destroy();
  room.destroy();
  mock.timers.reset();
});

test('a window that is closed stays until its changes are safe', async () => {
  const { service, room, doc } = await joined({ stores: false });
  doc.getMap('nodes').set('a', 1);
  room.leave();
  assert.equal(service.last.closed, false);
  service.last.stored();
  assert.equal(service.last.closed, true);
});

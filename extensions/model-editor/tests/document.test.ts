import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as Y from 'yjs';
import { GraphDocument, edgeId, freshId } from '../src/document.ts';

/** Two windows that hear of each other only when `meet` is called. */
function pair(): { a: GraphDocument; b: GraphDocument; meet: () => void } {
  const [a, b] = [new GraphDocument(), new GraphDocument()];
  const meet = (): void => {
    const [fromA, fromB] = [Y.encodeStateAsUpdate(a.doc), Y.encodeStateAsUpdate(b.doc)];
    Y.applyUpdate(a.doc, fromB, 'room');
    Y.applyUpdate(b.doc, fromA, 'room');
  };
  return { a, b, meet };
}

const said = (document: GraphDocument): unknown => {
  const { nodes, edges, layout, groups, training } = document.graph.get();
  return [...[nodes, edges, layout, groups].map(each => [...each]), training];
};

const ends = (source: string, target: string): { source: string; output: string; target: string; port: string } => ({
  source,
  output: 'out',
  target,
  port: 'in'
});

test('an id is a name of Python by the layer, and chance', () => {
  for (let round = 0; round < 200; round += 1) {
    assert.match(freshId('dense', () => false), /^dense_[a-z][0-9a-z]{2}$/);
  }
  let tries = 0;
  assert.match(
    freshId('2-D thing', () => {
      tries += 1;
      return tries < 3;
    }),
    /^D_thing_[a-z]/
  );
  assert.equal(tries, 3);
});

test('two people who add, connect and set at once both have their way', () => {
  const { a, b, meet } = pair();
  const first = a.addNode('dense', [0, 0]);
  meet();
  const mine = a.addNode('relu', [10, 20]);
  const theirs = b.addNode('relu', [30, 40]);
  a.setParam(first, 'units', 8);
  b.setParam(first, 'bias', false);
  b.move([[first, [5, 6]]]);
  a.connect(ends(first, mine), false);
  b.connect(ends(first, theirs), false);
  meet();
  assert.deepEqual(said(a), said(b));
  const graph = a.graph.get();
  assert.equal(graph.nodes.size, 3);
  assert.deepEqual(graph.nodes.get(first)!.params, { units: 8, bias: false });
  assert.deepEqual(graph.layout.get(first), [5, 6]);
  assert.equal(graph.edges.size, 2);
});

test('the same connection made by two is one', () => {
  const { a, b, meet } = pair();
  const from = a.addNode('dense', [0, 0]);
  const to = a.addNode('dense', [0, 0]);
  meet();
  a.connect(ends(from, to), false);
  b.connect(ends(from, to), false);
  meet();
  assert.deepEqual([...a.graph.get().edges.keys()], [edgeId(ends(from, to))]);
  assert.deepEqual(said(a), said(b));
});

test('an edge to a node that another deleted meanwhile is not in the graph', () => {
  const { a, b, meet } = pair();
  const from = a.addNode('dense', [0, 0]);
  const to = a.addNode('dense', [0, 0]);
  meet();
  a.remove({ nodes: [to] });
  b.connect(ends(from, to), false);
  b.move([[to, [9, 9]]]);
  meet();
  assert.equal(a.graph.get().edges.size, 0);
  assert.deepEqual([...a.graph.get().layout.keys()], [from]);
  assert.deepEqual(said(a), said(b));
});

test('a node goes with its edges and its place, in one transaction', () => {
  const document = new GraphDocument();
  const from = document.addNode('dense', [0, 0]);
  const to = document.addNode('dense', [1, 1]);
  document.connect(ends(from, to), false);
  let updates = 0;
  document.doc.on('update', () => {
    updates += 1;
  });
  document.remove({ nodes: [from] });
  assert.equal(updates, 1);
  assert.equal(document.doc.getMap('edges').size, 0);
  assert.deepEqual([...document.doc.getMap('layout').keys()], [to]);
});

test('each takes back their own changes only', () => {
  const { a, b, meet } = pair();
  const mine = a.addNode('dense', [0, 0]);
  meet();
  const theirs = b.addNode('dense', [1, 1]);
  b.setParam(mine, 'units', 4);
  meet();
  assert.deepEqual(a.history.get(), { undo: true, redo: false });
  a.undo();
  assert.deepEqual([...a.graph.get().nodes.keys()], [theirs]);
  assert.deepEqual(a.history.get(), { undo: false, redo: true });
  a.redo();
  assert.ok(a.graph.get().nodes.has(mine));
  b.undo();
  meet();
  assert.deepEqual(said(a), said(b));
  assert.ok(a.graph.get().nodes.has(theirs));
});

test('a deleted node comes back with all it had', () => {
  const document = new GraphDocument();
  const from = document.addNode('dense', [0, 0]);
  const to = document.addNode('dense', [1, 1]);
  document.setParam(to, 'units', 7);
  document.connect(ends(from, to), false);
  const before = said(document);
  document.remove({ nodes: [from, to] });
  assert.equal(document.graph.get().nodes.size, 0);
  document.undo();
  assert.deepEqual(said(document), before);
});

test('a drag is one step back, two drags are two', () => {
  const document = new GraphDocument();
  const id = document.addNode('dense', [0, 0]);
  for (const x of [1, 2, 3]) {
    document.move([[id, [x, 0]]], 'drag1');
  }
  document.endGesture();
  document.move([[id, [50, 0]]], 'drag2');
  document.undo();
  assert.deepEqual(document.graph.get().layout.get(id), [3, 0]);
  document.undo();
  assert.deepEqual(document.graph.get().layout.get(id), [0, 0]);
});

test('a port that takes one edge has the newest; one that takes many keeps their order', () => {
  const document = new GraphDocument();
  const [a, b, to] = ['dense', 'dense', 'add'].map(layer => document.addNode(layer, [0, 0])) as [string, string, string];
  document.connect(ends(a, to), false);
  document.connect(ends(b, to), false);
  assert.deepEqual([...document.graph.get().edges.values()].map(each => each.source), [b]);
  document.connect(ends(a, to), true);
  const orders = new Map([...document.graph.get().edges.values()].map(each => [each.source, each.order]));
  assert.ok(orders.get(a)! > orders.get(b)!);
});

test('what says the same stays the same object', () => {
  const document = new GraphDocument();
  const a = document.addNode('dense', [0, 0]);
  const b = document.addNode('dense', [1, 1]);
  const before = document.graph.get();
  document.setParam(a, 'units', 3);
  const after = document.graph.get();
  assert.notEqual(after.nodes.get(a), before.nodes.get(a));
  assert.equal(after.nodes.get(b), before.nodes.get(b));
  assert.equal(after.layout, before.layout);
  document.setParam(a, 'units', 3);
  assert.equal(document.graph.get(), after);
  document.move([[a, [0, 0]]]);
  assert.equal(document.graph.get(), after);
});

test('groups nest, fold, come apart, and go when they are empty', () => {
  const document = new GraphDocument();
  const [a, b, c] = [0, 1, 2].map(x => document.addNode('dense', [x, 0])) as [string, string, string];
  const outer = document.group([a, b, c], 'Block');
  const inner = document.group([a, b], 'Inner');
  let graph = document.graph.get();
  assert.equal(graph.groups.get(inner)!.parent, outer);
  document.fold(outer, true);
  document.rename(inner, 'Stem');
  graph = document.graph.get();
  assert.equal(graph.groups.get(outer)!.folded, true);
  assert.equal(graph.groups.get(inner)!.name, 'Stem');
  document.ungroup(inner);
  graph = document.graph.get();
  assert.equal(graph.nodes.get(a)!.group, outer);
  document.remove({ nodes: [a, b, c] });
  assert.equal(document.graph.get().groups.size, 0);
});

test('a group goes with what is in it', () => {
  const document = new GraphDocument();
  const [a, b] = [0, 1].map(x => document.addNode('dense', [x, 0])) as [string, string];
  const group = document.group([a], 'One');
  document.remove({ groups: [group] });
  assert.deepEqual([...document.graph.get().nodes.keys()], [b]);
  assert.equal(document.graph.get().groups.size, 0);
});

test('references to what is not there, circles and nonsense are left out', () => {
  const document = new GraphDocument();
  const id = document.addNode('dense', [0, 0]);
  const { doc } = document;
  doc.transact(() => {
    (doc.getMap('nodes').get(id) as Y.Map<unknown>).set('group', 'gone');
    doc.getMap('nodes').set('broken', 7);
    doc.getMap('nodes').set('empty', new Y.Map());
    doc.getMap('edges').set('x', { source: id, target: 'gone' });
    doc.getMap('layout').set('gone', [1, 2]);
    doc.getMap('groups').set('a', new Y.Map([['parent', 'b']]));
    doc.getMap('groups').set('b', new Y.Map([['parent', 'a']]));
  });
  const graph = document.graph.get();
  assert.deepEqual([...graph.nodes.keys()], [id]);
  assert.equal(graph.nodes.get(id)!.group, '');
  assert.equal(graph.edges.size, 0);
  assert.deepEqual([...graph.layout.keys()], [id]);
  assert.deepEqual(
    [...graph.groups.values()].map(each => each.parent).filter(Boolean).length,
    1
  );
});

test('a parameter without value has its default again; a later schema may not be changed', () => {
  const document = new GraphDocument();
  const id = document.addNode('dense', [0, 0], { params: { units: 4 } });
  document.setParam(id, 'units', undefined);
  assert.deepEqual(document.graph.get().nodes.get(id)!.params, {});
  document.setTraining('epochs', 9);
  assert.deepEqual(document.graph.get().training, { epochs: 9 });
  assert.equal(document.newer, false);
  document.doc.getMap('meta').set('schema', 2);
  assert.equal(document.newer, true);
});

test('whole numbers of 64 bits are read as numbers', () => {
  const { a, b, meet } = pair();
  const id = a.addNode('operation', [0, 0]);
  a.setParam(id, 'arguments', [1]);
  const params = (a.doc.getMap('nodes').get(id) as Y.Map<Y.Map<unknown>>).get('params')!;
  params.set('arguments', [{ in: 0 }, 9007199254740993n]);
  meet();
  const read = b.graph.get().nodes.get(id)!.params.arguments;
  assert.deepEqual(read, [{ in: 0 }, 9007199254740992]);
  b.setParam(id, 'arguments', [2]);
  assert.deepEqual(b.graph.get().nodes.get(id)!.params.arguments, [2]);
});

test('the weights that a graph begins with are taken out in one step, which can be taken back', () => {
  const document = new GraphDocument();
  document.doc.getMap('data').set('weights', 'sha256:1');
  document.setData({ weights: undefined });
  assert.deepEqual(document.graph.get().data, {});
  document.undo();
  assert.deepEqual(document.graph.get().data, { weights: 'sha256:1' });
});

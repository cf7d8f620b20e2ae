import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphDocument } from '../src/document.ts';
import { NOTHING } from '../src/meaning.ts';
import { NONE } from '../src/session.ts';
import { Drawing, type Scene } from '../src/state/drawing.ts';
import { portsOf } from '../src/state/graph.ts';
import { TABLE } from './layers.ts';

function scene(document: GraphDocument, part: Partial<Scene> = {}): Scene {
  const graph = document.graph.get();
  return {
    graph,
    places: graph.layout,
    dragged: new Map(),
    ports: portsOf(graph, TABLE),
    layers: TABLE,
    meaning: NOTHING,
    selection: NONE,
    watched: new Map(),
    writable: true,
    sizeOf: () => ({ width: 200, height: 80 }),
    ...part
  };
}

function three(): { document: GraphDocument; a: string; b: string; c: string } {
  const document = new GraphDocument();
  const [a, b, c] = ['input', 'dense', 'output'].map((layer, at) =>
    document.addNode(layer, [at * 300, 0])
  ) as [string, string, string];
  document.connect({ source: a, output: 'out', target: b, port: 'in' }, false);
  document.connect({ source: b, output: 'out', target: c, port: 'in' }, false);
  return { document, a, b, c };
}

test('only what changed is drawn anew; a card that moved keeps what it says', () => {
  const { document, a, b } = three();
  const drawing = new Drawing();
  const before = new Map(drawing.nodes(scene(document)).map(node => [node.id, node]));
  const lines = drawing.edges(scene(document));
  const dragged = new Map([[b, [310, 20] as const]]);
  const after = new Map(drawing.nodes(scene(document, { dragged })).map(node => [node.id, node]));
  assert.equal(after.get(a), before.get(a));
  assert.notEqual(after.get(b), before.get(b));
  assert.deepEqual(after.get(b)!.position, { x: 310, y: 20 });
  assert.equal(after.get(b)!.data, before.get(b)!.data);
  document.setParam(b, 'units', 3);
  const said = new Map(drawing.nodes(scene(document)).map(node => [node.id, node]));
  assert.equal(said.get(a), before.get(a));
  assert.notEqual(said.get(b)!.data, before.get(b)!.data);
  assert.deepEqual(drawing.edges(scene(document)).map((line, at) => line === lines[at]), [true, true]);
});

test('a frame goes around its layers and is behind them', () => {
  const { document, a, b } = three();
  const group = document.group([a, b], 'Front');
  const drawn = new Drawing().nodes(scene(document));
  const frame = drawn.find(node => node.id === `group:${group}`)!;
  assert.equal(frame.type, 'frame');
  assert.equal(drawn[0], frame);
  assert.ok(frame.position.x < 0 && frame.position.y < 0 && frame.width! > 500);
  assert.ok(frame.zIndex! < 0);
});

test('a folded group is one box, and lines that cross its edge end at it', () => {
  const { document, a, b, c } = three();
  const inner = document.group([a], 'Inner');
  const group = document.group([a, b], 'Front');
  document.fold(group, true);
  const drawing = new Drawing();
  const drawn = drawing.nodes(scene(document));
  assert.deepEqual(
    new Set(drawn.map(node => node.id)),
    new Set([`group:${group}`, c])
  );
  const [line, ...others] = drawing.edges(scene(document));
  assert.equal(others.length, 0);
  assert.equal(line!.source, `group:${group}`);
  assert.equal(line!.target, c);
  assert.equal(line!.selectable, false);
  assert.equal(document.graph.get().groups.has(inner), false, 'an emptied group is gone');
});

test('an edge that the service finds fault with is marked', () => {
  const { document } = three();
  const [id] = document.graph.get().edges.keys();
  const meaning = { ...NOTHING, problems: [{ node: '', edge: id!, text: 'It does not fit.', hint: '' }] };
  const wrong = new Drawing().edges(scene(document, { meaning })).filter(line => line.label);
  assert.deepEqual(wrong.map(line => line.id), [id]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraphDocument } from '../src/document.ts';
import { aligned, arranged, around, distributed, free, placed, type Box } from '../src/state/arrange.ts';
import { fragment, read, write } from '../src/state/clipboard.ts';
import {
  beside,
  brief,
  bytes,
  depths,
  hiddenIn,
  kind,
  reaches,
  shape,
  targets,
  topological,
  whyNot
} from '../src/state/graph.ts';
import { outline } from '../src/state/outline.ts';
import { example, lines, near, parse, says, searched, written } from '../src/state/params.ts';
import { rank } from '../src/state/search.ts';
import { LAYERS, TABLE, parameter } from './layers.ts';

const SIZE = { width: 200, height: 80 };
const sizeOf = (): typeof SIZE => SIZE;

/** input → dense → output, and a dense beside. */
function chain(): { document: GraphDocument; a: string; b: string; c: string; d: string } {
  const document = new GraphDocument();
  const [a, b, c, d] = ['input', 'dense', 'output', 'dense'].map((layer, at) =>
    document.addNode(layer, [at * 300, at * 10])
  ) as [string, string, string, string];
  const join = (source: string, target: string): string =>
    document.connect({ source, output: 'out', target, port: 'in' }, false);
  join(a, b);
  join(b, c);
  return { document, a, b, c, d };
}

test('the order in which layers compute, also where there is a circle', () => {
  const { document, a, b, c, d } = chain();
  const order = topological(document.graph.get());
  assert.ok(order.indexOf(a) < order.indexOf(b) && order.indexOf(b) < order.indexOf(c));
  assert.equal(order.length, 4);
  assert.equal(depths(document.graph.get()).get(c), 2);
  document.connect({ source: b, output: 'out', target: d, port: 'in' }, false);
  document.connect({ source: d, output: 'out', target: b, port: 'in' }, true);
  assert.equal(new Set(topological(document.graph.get())).size, 4);
  assert.ok(reaches(document.graph.get(), a, c));
});

test('what may be connected, and why not', () => {
  const { document, a, b, c, d } = chain();
  const graph = document.graph.get();
  const ask = (source: string, target: string, port = 'in', output = 'out') =>
    whyNot(graph, TABLE, { source, output, target, port });
  assert.equal(ask(a, d), null);
  assert.equal(ask(b, b), 'itself');
  assert.equal(ask(a, b), 'twice');
  assert.equal(ask(b, a), 'no-port');
  assert.equal(ask(c, b), 'no-port');
  assert.equal(ask(a, 'gone'), 'gone');
  document.connect({ source: b, output: 'out', target: d, port: 'in' }, false);
  assert.equal(
    whyNot(document.graph.get(), TABLE, { source: d, output: 'out', target: b, port: 'in' }),
    'circle'
  );
  assert.deepEqual(
    targets(graph, TABLE, d).map(each => each.target).sort(),
    [b, c].sort()
  );
});

test('arrow keys go along the edges', () => {
  const { document, a, b, d } = chain();
  const graph = document.graph.get();
  assert.equal(beside(graph, graph.layout, a, 'down'), b);
  assert.equal(beside(graph, graph.layout, b, 'up'), a);
  assert.equal(beside(graph, graph.layout, a, 'up'), '');
  assert.equal(beside(graph, graph.layout, d, 'down'), '');
});

test('words for shapes, parameters and sizes', () => {
  assert.equal(shape(['B', 32]), 'B × 32');
  assert.equal(shape([]), '[]');
  assert.equal(shape(undefined), '');
  const dense = TABLE.get('dense');
  const node = { id: 'x', layer: 'dense', params: {}, name: '', group: '' };
  assert.equal(brief(node, dense), 'units 32');
  assert.equal(brief({ ...node, params: { units: 8 } }, dense), 'units 8');
  assert.equal(bytes(512), '512 B');
  assert.equal(bytes(1_500_000), '1.5 MB');
});

test('a search puts names before beginnings before anything else', () => {
  const found = (query: string): string[] => rank(LAYERS, query).map(each => each.name);
  assert.equal(found('').length, LAYERS.length);
  assert.deepEqual(found('dense').slice(0, 1), ['dense']);
  assert.equal(found('conv')[0], 'conv2d');
  assert.equal(found('drp')[0], 'dropout');
  assert.equal(found('every')[0], 'dense');
  assert.deepEqual(found('zzz'), []);
});

test('a field says a value, a default, or what is wrong', () => {
  const units = parameter({ name: 'units', type: 'integer', minimum: 1, maximum: 10 });
  assert.deepEqual(parse(units, ' 4 '), { value: 4 });
  assert.deepEqual(parse(units, ''), { value: undefined });
  assert.deepEqual(parse(units, '4.5'), { wrong: 'whole' });
  assert.deepEqual(parse(units, '0'), { wrong: 'least' });
  assert.deepEqual(parse(units, '11'), { wrong: 'most' });
  const rate = parameter({ name: 'rate', type: 'number', maximum: 0.9 });
  assert.deepEqual(parse(rate, '1e-3'), { value: 0.001 });
  assert.deepEqual(parse(rate, 'x'), { wrong: 'number' });
  assert.deepEqual(parse(parameter({ name: 'bias', type: 'boolean' }), 'false'), { value: false });
  const kernel = parameter({ name: 'kernel', type: 'integers', minimum: 1, length: 2, choices: ['same'] });
  assert.deepEqual(parse(kernel, '3, 3'), { value: [3, 3] });
  assert.deepEqual(parse(kernel, '3'), { value: 3 });
  assert.deepEqual(parse(kernel, '[3, 5]'), { value: [3, 5] });
  assert.deepEqual(parse(kernel, 'same'), { value: 'same' });
  assert.deepEqual(parse(kernel, '3, 3, 3'), { wrong: 'length' });
  assert.deepEqual(parse(kernel, '3, a'), { wrong: 'wholes' });
  assert.deepEqual(parse(kernel, '0, 1'), { wrong: 'least' });
  const pad = parameter({ name: 'pad', type: 'choice', choices: ['same', 'valid'] });
  assert.deepEqual(parse(pad, 'other'), { wrong: 'choice' });
});

test('a list may be as short as its parameter says', () => {
  const size = parameter({ name: 'size', type: 'integers', minimum: 0, shortest: 0 });
  assert.deepEqual(parse(size, '[]'), { value: [] });
  assert.deepEqual(parse(size, '( )'), { value: [] });
  assert.deepEqual(parse(size, '['), { wrong: 'wholes' });
  assert.deepEqual(parse(size, '1 2 3 4 5 6 7 8 9'), { wrong: 'length' });
  assert.equal(written(size, []), '[]');
  assert.equal(written(size, [3, 4]), '3, 4');
  assert.equal(written(size, undefined), '');
  const kernel = parameter({ name: 'kernel', type: 'integers', minimum: 1 });
  assert.deepEqual(parse(kernel, '[]'), { wrong: 'length' });
  assert.deepEqual(parse({ ...kernel, length: 2 }, '[3]'), { wrong: 'length' });
});

test('arguments are JSON of one form', () => {
  const places = parameter({ name: 'arguments', type: 'arguments', default: [{ in: 0 }] });
  const fits = (text: string): void =>
    assert.deepEqual(parse(places, text), { value: JSON.parse(text) }, text);
  for (const text of [
    '[]',
    '[{"in": 0}, {"in": 511}, 2, -0.5, true, null, "mean", ""]',
    '[{"rows": 4}, {"rows": -1, "plus": 2}]',
    '[{"number": "-inf"}, {"number": "2.0"}, {"number": "NaN"}, {"number": "1e-05"}]',
    '[{"type": "int64"}, {"device": "input"}, "bi,bj->ij"]',
    '[[[[[1]]]]]'
  ]) {
    fits(text);
  }
  const ones = (count: number): string => `[${Array.from({ length: count }, () => 1).join()}]`;
  const part = (text: string): unknown => {
    const found = parse(places, `[1, ${text}]`);
    return 'wrong' in found && found.wrong === 'argument' ? found.part : found;
  };
  for (const text of [
    '{"in": -1}',
    '{"in": 512}',
    '{"in": 0.5}',
    '{"in": true}',
    '{"in": 0, "plus": 1}',
    '{"plus": 1}',
    '{"rows": 2147483648}',
    '{"rows": 1, "plus": "1"}',
    '{"number": "two"}',
    '{"number": ""}',
    '{"number": 2}',
    '{"type": "complex64"}',
    '{"device": "cuda"}',
    '{"__proto__": 1}',
    '{}'
  ]) {
    assert.equal(part(text), text);
  }
  assert.equal(part('[[{"in": "0"}]]'), '{"in": "0"}');
  const long = parse(places, `[{"no": [${ones(100)}]}]`);
  assert.ok('wrong' in long && long.part?.length === 60);
  assert.deepEqual(parse(places, '["mean", "a;b"]'), { wrong: 'word', part: 'a;b' });
  assert.deepEqual(parse(places, '[1, 2'), { wrong: 'json' });
  assert.deepEqual(parse(places, "['a']"), { wrong: 'json' });
  assert.deepEqual(parse(places, '2'), { wrong: 'list' });
  assert.deepEqual(parse(places, '{"in": 0}'), { wrong: 'list' });
  // The browser would make it 9007199254740992.
  assert.deepEqual(parse(places, '[9007199254740993]'), { wrong: 'large' });
  assert.deepEqual(parse(places, '[1e400]'), { wrong: 'large' });
  const whole = '[{"in": 0}, 1, 0, 9223372036854775807, 2]';
  assert.equal(written(places, JSON.parse(whole)), whole, 'a slice to the end');
  assert.deepEqual(parse(places, whole), { value: JSON.parse(whole) });
  assert.deepEqual(parse(places, '[[[[[[1]]]]]]'), { wrong: 'much' });
  fits(ones(511));
  assert.deepEqual(parse(places, ones(512)), { wrong: 'much' });
  assert.deepEqual(parse(places, ' '), { value: undefined });
});

test('named arguments are a map of them', () => {
  const named = parameter({ name: 'named', type: 'arguments', default: {} });
  assert.deepEqual(parse(named, '{"dim": [1, 2], "in": 0}'), { value: { dim: [1, 2], in: 0 } });
  assert.deepEqual(parse(named, '{}'), { value: {} });
  assert.deepEqual(parse(named, '[]'), { wrong: 'map' });
  assert.deepEqual(parse(named, 'null'), { wrong: 'map' });
  assert.deepEqual(parse(named, '{"Dim": 1}'), { wrong: 'name', part: 'Dim' });
  assert.deepEqual(parse(named, '{"dim": {"dim": 1}}'), { wrong: 'argument', part: '{"dim": 1}' });
  assert.equal(example(named), '{"dim": 1}');
});

test('arguments stand in their field as JSON, and are not written anew while they say the same', () => {
  const places = parameter({ name: 'arguments', type: 'arguments', default: [{ in: 0 }] });
  const value = [{ in: 0 }, [1, 'a'], { rows: 1, plus: 2 }];
  assert.equal(written(places, value), '[{"in": 0}, [1, "a"], {"rows": 1, "plus": 2}]');
  assert.deepEqual(parse(places, written(places, value)), { value });
  assert.equal(written(places, [{ plus: 2, rows: 1 }]), '[{"rows": 1, "plus": 2}]');
  assert.ok(says(places, '[{"rows": 1, "plus": 2}]', [{ plus: 2, rows: 1 }]));
  assert.equal(written(places, undefined), '');
  assert.ok(says(places, '[ {"in":0},\n 2 ]', [{ in: 0 }, 2]));
  assert.ok(!says(places, '[2', [2]));
  assert.ok(!says(places, '[3]', [2]));
  const kernel = parameter({ name: 'kernel', type: 'integers' });
  assert.ok(says(kernel, '3,', 3), 'a comma stays, for more comes behind it');
  assert.equal(lines('[1]'), 1);
  assert.equal(lines('a\nb\n'), 3);
  assert.equal(lines('a'.repeat(40)), 2);
  assert.equal(lines('\n'.repeat(400)), 12);
});

test('many choices are found by a few letters', () => {
  const choices = ['abs', 'add', 'log', 'log10', 'logit', 'xlogy', ...Array.from({ length: 20 }, (_, at) => `f${at}`)];
  const many = parameter({ name: 'function', type: 'choice', choices });
  assert.ok(searched(many));
  assert.ok(!searched({ ...many, choices: choices.slice(0, 20) }));
  assert.deepEqual(parse(many, 'log'), { value: 'log' });
  assert.deepEqual(parse(many, 'lo'), { wrong: 'choice' });
  assert.deepEqual(near(many, ' Lo'), ['log', 'log10', 'logit']);
  assert.deepEqual(near(many, 'gy'), ['xlogy']);
  assert.deepEqual(near(many, 'zz'), []);
});

test('a function is called by its own name, with what it is given', () => {
  const layer = TABLE.get('operation');
  const node = { id: 'x', layer: 'operation', params: {}, name: '', group: '' };
  assert.equal(kind(node, layer), 'abs');
  assert.equal(brief(node, layer), 'in 0');
  const pow = {
    ...node,
    params: {
      function: 'pow',
      arguments: [{ in: 0 }, { number: '2.0' }, { rows: 1, plus: 2 }, [1, null]],
      named: { dtype: { type: 'int64' } },
      item: 1,
      gives: [1, 2, 3]
    }
  };
  assert.equal(kind(pow, layer), 'pow');
  assert.equal(brief(pow, layer), 'in 0, 2.0, rows 1 plus 2, [1, null], dtype int64, item 1');
  const slice = { ...node, params: { function: 'slice', arguments: [{ in: 0 }, 1, 0, 2 ** 63, 2] } };
  assert.equal(brief(slice, layer), 'in 0, 1, 0, end, 2');
  const long = { ...node, params: { arguments: Array.from({ length: 500 }, () => 1) } };
  assert.equal(brief(long, layer).length, 60);
  assert.equal(kind({ ...node, layer: 'dense' }, TABLE.get('dense')), 'Dense');
  assert.equal(kind({ ...node, layer: 'later' }, undefined), 'later');
  // What no form of this Studio wrote is no reason to show nothing.
  assert.equal(brief({ ...node, params: { arguments: 'x', named: [1], item: '0' } }, layer), '');
});

test('a part is put into another document, with new ids and its own edges only', () => {
  const { document, a, b, c } = chain();
  const group = document.group([a, b], 'Front');
  document.setParam(b, 'units', 5);
  const graph = document.graph.get();
  const part = read(write(fragment(graph, graph.layout, new Set([a, b]))));
  assert.ok(part);
  assert.equal(part.edges.length, 1);
  assert.equal(part.groups.length, 1);
  const other = new GraphDocument();
  const named = other.paste(part, [10, 20]);
  const pasted = other.graph.get();
  assert.equal(pasted.nodes.size, 2);
  assert.ok(!pasted.nodes.has(a));
  assert.equal(pasted.nodes.get(named.get(b)!)!.params.units, 5);
  assert.deepEqual(pasted.layout.get(named.get(a)!), [10, 20]);
  const [edge] = pasted.edges.values();
  assert.equal(edge!.source, named.get(a));
  assert.equal(edge!.id, `${named.get(a)}.out__${named.get(b)}.in`);
  assert.equal(pasted.nodes.get(named.get(a)!)!.group, named.get(group));
  // A part of a group does not take the group along.
  assert.equal(fragment(graph, graph.layout, new Set([b, c])).groups.length, 0);
  other.undo();
  assert.equal(other.graph.get().nodes.size, 0);
});

test('other texts are no part of a graph', () => {
  assert.equal(read('hello'), null);
  assert.equal(read('{"nodes": []}'), null);
  assert.equal(read('[1]'), null);
});

test('a layout goes from top to bottom and overlaps nothing', () => {
  const { document, a, b, c, d } = chain();
  const graph = document.graph.get();
  const found = arranged(graph, [a, b, c, d], sizeOf, graph.layout);
  assert.ok(found.get(a)![1] + SIZE.height < found.get(b)![1]);
  assert.ok(found.get(b)![1] + SIZE.height < found.get(c)![1]);
  const all = [...found.values()];
  for (const [at, one] of all.entries()) {
    for (const other of all.slice(at + 1)) {
      assert.ok(
        Math.abs(one[0] - other[0]) >= SIZE.width || Math.abs(one[1] - other[1]) >= SIZE.height
      );
    }
  }
  assert.equal(Math.min(...all.map(each => each[0])), 0, 'the corner stays');
});

test('a thousand layers are laid out', () => {
  const document = new GraphDocument();
  const ids = document.change(() => {
    const made: string[] = [];
    for (let at = 0; at < 1000; at += 1) {
      made.push(document.addNode('dense', [0, 0]));
    }
    return made;
  });
  document.change(() => {
    for (let at = 1; at < ids.length; at += 1) {
      document.doc.getMap('edges').set(`e${at}`, {
        source: ids[at % 7 === 0 ? Math.max(0, at - 5) : at - 1],
        target: ids[at]
      });
    }
  });
  const graph = document.graph.get();
  assert.equal(graph.edges.size, 999);
  assert.equal(arranged(graph, ids, sizeOf, graph.layout).size, 1000);
});

test('a node without place is given one below the others', () => {
  const { document, a, d } = chain();
  document.doc.getMap('layout').delete(d);
  const graph = document.graph.get();
  const all = placed(graph, sizeOf);
  assert.equal(all.get(a), graph.layout.get(a));
  assert.ok(all.get(d)![1] >= 20 + SIZE.height);
});

test('aligning, spreading, and room for one more', () => {
  const boxes = new Map<string, Box>([
    ['a', { x: 0, y: 5, ...SIZE }],
    ['b', { x: 100, y: 300, ...SIZE }],
    ['c', { x: 900, y: 10, ...SIZE }]
  ]);
  assert.deepEqual([...aligned(boxes, 'left').values()].map(each => each[0]), [0, 0, 0]);
  assert.deepEqual([...aligned(boxes, 'bottom').values()].map(each => each[1]), [300, 300, 300]);
  assert.deepEqual(distributed(boxes, 'x').get('b'), [450, 300]);
  assert.deepEqual(around(boxes.values()), { x: 0, y: 5, width: 1100, height: 375 });
  assert.equal(around([]), null);
  assert.deepEqual(free([[0, 0]], [500, 0]), [500, 0]);
  assert.ok(free([[0, 0]], [10, 10])[0] > 200);
});

test('the outline has groups where their first layer is, and hides what is folded', () => {
  const { document, a, b, c, d } = chain();
  const group = document.group([b, d], 'Middle');
  const rows = (): string[] =>
    outline(document.graph.get()).map(item => `${'  '.repeat(item.level - 1)}${item.id}`);
  assert.deepEqual(
    rows().filter(row => row.trim() !== d),
    [a, group, `  ${b}`, c].sort((x, y) => rows().indexOf(x) - rows().indexOf(y))
  );
  assert.equal(hiddenIn(document.graph.get(), group), '');
  document.fold(group, true);
  assert.deepEqual(new Set(rows()), new Set([a, group, c]));
  assert.equal(hiddenIn(document.graph.get(), group), group);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asked, isOnnx, NOTHING, request, sizesOf, stem } from '../src/pages/import-graph.state.ts';

test('what a refusal of a file asks for is offered, with its example', () => {
  const answer = asked(NOTHING, "A graph has one answer: say which, such as answer='boxes'.");
  assert.deepEqual(answer, { answer: 'boxes', sizes: null });
  // One after the other: what was asked first stays.
  const both = asked(answer, 'Say how long it is, such as sizes={"length": 128}.');
  assert.deepEqual(both, { answer: 'boxes', sizes: 'length=128' });
  assert.deepEqual(asked(both, 'It has: boxes, scores.'), both);
  assert.deepEqual(asked(NOTHING, 'Leave the other weights out.'), NOTHING);
});

test('sizes are written as name=number', () => {
  assert.deepEqual(sizesOf(''), {});
  assert.deepEqual(sizesOf(' length = 128,width=64, '), { length: 128, width: 64 });
  assert.deepEqual(sizesOf('a=b=2, dimension 1: 8'), { 'a=b': 2, 'dimension 1': 8 });
  for (const typed of ['length', '=3', 'length=', 'length=0', 'length=-1', 'length=1.5', '128']) {
    assert.equal(sizesOf(typed), null);
  }
});

test('only what goes with a file is asked of the service', () => {
  const asks = { answer: 'boxes', sizes: 'length=128' };
  const given = { name: ' net ', answer: ' boxes', sizes: 'length=8' };
  assert.deepEqual(request('Net.ONNX', 'blob:1', 'blob:2', asks, given), {
    source: 'blob:1',
    name: 'net',
    weights: '',
    answer: 'boxes',
    sizes: { length: 8 }
  });
  const { answer, sizes } = request('net.onnx', 'blob:1', '', NOTHING, given);
  assert.deepEqual([answer, sizes], ['', {}]);
  assert.deepEqual(request('net.graph.json', 'blob:1', 'blob:2', asks, given), {
    source: 'blob:1',
    name: 'net',
    weights: 'blob:2',
    answer: '',
    sizes: {}
  });
  assert.ok(isOnnx('a.onnx') && !isOnnx('a.onnx.json'));
  assert.deepEqual(['net.graph.json', 'net.onnx', '.onnx'].map(stem), ['net', 'net', '.onnx']);
});

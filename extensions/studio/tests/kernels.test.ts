import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fullness, mebibytes, placeOf, runsFrom, takenBy } from '../src/kernels/state.ts';

const run = { id: 'r', kernel: 'k', cell: 'b', code: 'print(1)' };

test('a run is of the cell with its id', () => {
  const cells = [
    { id: 'a', code: 'print(1)' },
    { id: 'b', code: 'changed since' }
  ];
  assert.equal(placeOf(cells, run), 1);
});

test('without ids it is of the only cell that says the same', () => {
  const other = { id: 'x', code: 'print(2)' };
  assert.equal(placeOf([other, { id: 'y', code: 'print(1)' }], run), 1);
  assert.equal(placeOf([other], run), -1);
  const twice = [
    { id: 'y', code: 'print(1)' },
    { id: 'z', code: 'print(1)' }
  ];
  assert.equal(placeOf(twice, run), -1);
  assert.equal(placeOf([{ id: 'b', code: null }], run), -1, 'it became text');
});

test('what is no run is left out', () => {
  assert.deepEqual(runsFrom([run, null, { id: 1 }, 'r']), [run]);
  assert.deepEqual(runsFrom({ message: 'Not found' }), []);
  assert.deepEqual(runsFrom(null), []);
});

test('what a kernel uses is found by its id', () => {
  const use = { id: 'k', memory_bytes: 900 * 2 ** 20, limit_bytes: 1000 * 2 ** 20, cpu: 0.5 };
  assert.deepEqual(takenBy([{ id: 'x' }, use], 'k'), use);
  assert.equal(takenBy([{ id: 'k', memory_bytes: 'much' }], 'k'), null);
  assert.equal(takenBy(null, 'k'), null);
  assert.equal(fullness(use), 0.9);
  assert.equal(fullness({ ...use, limit_bytes: null }), 0);
  assert.equal(mebibytes(use.memory_bytes), '900');
});

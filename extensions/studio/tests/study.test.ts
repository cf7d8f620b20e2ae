import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Trial } from '@nexus-workbench/contract';
import { columns, progress, ranked, setting } from '../src/pages/study.state.ts';

const trial = (number: number, state: Trial['state'], ...values: number[]): Trial => ({
  number,
  state,
  values,
  settings: { width: 8 },
  epochs: 1,
  why: '',
  elapsed_s: 1
});

const tried = [
  trial(3, 'done', 0.2),
  trial(1, 'done', 0.4),
  trial(5, 'failed'),
  trial(2, 'stopped')
];

test('the best comes first, what failed comes last', () => {
  assert.deepEqual(
    ranked(tried).map(each => each.number),
    [3, 1, 2, 5]
  );
});

test('the least loss so far never rises', () => {
  const more = [...tried, trial(4, 'done', 0.3)];
  assert.deepEqual(progress(more).loss, [
    [1, 0.4],
    [3, 0.2],
    [4, 0.3]
  ]);
  assert.deepEqual(progress(more).least, [
    [1, 0.4],
    [3, 0.2],
    [4, 0.2]
  ]);
});

test('settings are those that were tried, in the order of the search', () => {
  const searched: Record<string, [number, number]> = { layers: [1, 4], width: [8, 512] };
  assert.deepEqual(columns({ trials: tried, searched }), ['width']);
  assert.equal(setting(0.00123456), '0.00123');
  assert.equal(setting(128), '128');
  assert.equal(setting(undefined), '');
});

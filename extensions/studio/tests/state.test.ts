import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Line, Project } from '@nexus-workbench/contract';
import { python, sameAs } from '../src/same.ts';
import { extent, scale, short, ticks } from '../src/parts/scale.ts';
import {
  NOTHING_TOLD,
  age,
  charts,
  choose,
  duration,
  hear,
  nameFrom,
  pageArgs,
  pageOf,
  percent,
  person,
  references,
  tabOf,
  touched
} from '../src/state.ts';

const AT = '2026-01-01T00:00:00Z';
const line = (seq: number, kind: Line['kind'], text = '', values = {}): Line => ({
  seq,
  at: AT,
  kind,
  text,
  values
});
const project = (id: string, name: string): Project => ({
  id,
  name,
  title: name,
  description: '',
  owner: 'person:ada',
  role: 'owner',
  made_at: AT
});

test('an event makes old what it names', () => {
  assert.deepEqual(touched({ action: 'data.register', refs: { product: 'prd_1@0' } }), [
    'data',
    'record'
  ]);
  assert.deepEqual(touched({ action: 'models.train', refs: { job: 'job_1', model: 'mdl_1@0' } }), [
    'models',
    'jobs',
    'record'
  ]);
  assert.deepEqual(touched({ action: 'ethics.assess', refs: { report: 'rpt_1' } }), [
    'reports',
    'record'
  ]);
  assert.deepEqual(touched({ action: 'projects.create_project', refs: {} }), ['record']);
});

test('references open the page of their kind, those with a page first', () => {
  assert.equal(pageOf('mdl_01@3'), 'model');
  assert.equal(pageOf('prj_01'), null);
  assert.equal(pageOf(7), null);
  assert.deepEqual(references({ project: 'prj_1', model: 'mdl_1@0', rows: 3 }), [
    { kind: 'model', id: 'mdl_1@0', page: 'model' },
    { kind: 'project', id: 'prj_1', page: null }
  ]);
  assert.deepEqual(references(null), []);
});

test('the project of the last visit is shown while one is in it', () => {
  const [a, b] = [project('prj_a', 'a'), project('prj_b', 'b')];
  assert.equal(choose([a, b], 'prj_b', a), b);
  assert.equal(choose([a, b], 'b', a), b);
  assert.equal(choose([a, b], 'prj_gone', a), a);
});

test('a title becomes a name that the service takes', () => {
  assert.equal(nameFrom('Fair lending!'), 'fair-lending');
  assert.equal(nameFrom('  Élan & Co. '), 'elan-co');
  assert.equal(nameFrom('数据'), '');
  assert.equal(nameFrom('x'.repeat(60)).length, 40);
});

test('what a job tells becomes curves, a log and its progress', () => {
  const told = hear(NOTHING_TOLD, [
    line(1, 'state', 'running'),
    line(2, 'metric', '', { epoch: 1, loss: 0.5, validation_loss: 0.6 }),
    line(3, 'metric', '', { epoch: 2, loss: 0.4, validation_loss: 0.55 }),
    line(4, 'progress', 'epoch 2 of 20', { share: 0.1 })
  ]);
  assert.deepEqual(told.series.get('loss'), [
    [1, 0.5],
    [2, 0.4]
  ]);
  assert.equal(told.axis, 'epoch');
  assert.equal(told.progress, 0.1);
  assert.equal(told.note, 'epoch 2 of 20');
  assert.equal(told.state, 'running');
  assert.deepEqual(
    told.log.map(each => each.text),
    ['running', 'epoch 2 of 20']
  );
  assert.deepEqual(charts(told.series), [['loss', 'validation_loss']]);
});

test('a line told twice changes nothing, a new attempt begins its curves again', () => {
  const first = line(1, 'metric', '', { loss: 1 });
  const told = hear(NOTHING_TOLD, [first, line(2, 'metric', '', { loss: 2 })]);
  assert.equal(hear(told, [first]), told);
  assert.deepEqual(told.series.get('loss'), [
    [0, 1],
    [1, 2]
  ]);
  const again = hear(told, [line(3, 'state', 'running'), line(4, 'metric', '', { loss: 9 })]);
  assert.deepEqual(again.series.get('loss'), [[0, 9]]);
});

test('an attempt that goes on after a checkpoint goes on with its curves', () => {
  const told = hear(NOTHING_TOLD, [
    line(1, 'state', 'running'),
    ...[1, 2, 3].map(epoch => line(epoch + 1, 'metric', '', { epoch, loss: 1 / epoch })),
    line(5, 'state', 'running'),
    line(6, 'metric', '', { epoch: 3, loss: 0.3 }),
    line(7, 'metric', '', { epoch: 4, loss: 0.25 })
  ]);
  assert.deepEqual(told.series.get('loss'), [
    [1, 1],
    [2, 0.5],
    [3, 0.3],
    [4, 0.25]
  ]);
});

test('figures of different units are in charts of their own', () => {
  const told = hear(NOTHING_TOLD, [
    line(1, 'metric', '', { epoch: 1, loss: 1, accuracy: 0.5, validation_accuracy: 0.4 })
  ]);
  assert.deepEqual(charts(told.series), [['loss'], ['accuracy', 'validation_accuracy']]);
});

test('arguments from an old layout are checked', () => {
  assert.equal(pageArgs({ page: 'gone' }), null);
  assert.equal(pageArgs({}), null);
  assert.deepEqual(pageArgs({ page: 'model', id: 3, options: { tab: 'graph', bad: 1 } }), {
    page: 'model',
    id: '',
    options: { tab: 'graph' }
  });
});

test('one page is one tab, whatever the order of its options', () => {
  const one = tabOf({ page: 'train', id: 'prd_1', options: { a: '1', b: '2' } });
  assert.equal(one, tabOf({ page: 'train', id: 'prd_1', options: { b: '2', a: '1' } }));
  assert.notEqual(one, tabOf({ page: 'train', id: 'prd_2', options: {} }));
});

test('shares, ages and times as a person reads them', () => {
  assert.deepEqual([0.416, -1, 7, NaN].map(percent), [42, 0, 100, 0]);
  assert.equal(person('person:ada'), 'ada');
  assert.equal(person('service:studio'), 'service:studio');
  const hour = 3_600_000;
  assert.deepEqual(age(0, 30_000), { unit: 'now', count: 0 });
  assert.deepEqual(age(0, 59 * 60_000), { unit: 'minutes', count: 59 });
  assert.deepEqual(age(0, 25 * hour), { unit: 'days', count: 1 });
  assert.deepEqual(age(hour, 0), { unit: 'now', count: 0 });
  assert.equal(duration(null, null, 0), '');
  assert.equal(duration(AT, null, Date.parse(AT) + 65_000), '1:05');
  assert.equal(duration(AT, '2026-01-01T01:00:09Z', 0), '1:00:09');
});

test('the axes of a chart', () => {
  assert.deepEqual(ticks(0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(ticks(3, 3), [3]);
  assert.deepEqual(ticks(NaN, 1), []);
  assert.deepEqual(extent([NaN, 2, 1]), [1, 2]);
  assert.deepEqual(extent([]), [0, 1]);
  assert.equal(scale(0, 10, 0, 100)(5), 50);
  assert.equal(scale(1, 1, 0, 100)(1), 50);
  assert.equal(short(1234567, 'en'), '1,234,567');
  assert.equal(short(0.123456, 'en'), '0.1235');
  assert.equal(short(NaN), '–');
});

test('the same in Python', () => {
  assert.equal(python({ a: [true, null, 'x"y'] }), '{"a": [True, None, "x\\"y"]}');
  assert.equal(
    sameAs('models.train', { product: 'prd_1@0', target: 'y', graph: null, exclude: [], seed: 0 }),
    'import workbench\n\nwb = workbench.connect()\nwb.models.train(product="prd_1@0", target="y", seed=0)'
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Column, Graph, Profile } from '@nexus-workbench/contract';
import {
  addHidden,
  drawing,
  guessTarget,
  guessTask,
  hiddenOf,
  maySkip,
  reasons,
  request,
  suggestedOut,
  withHidden,
  type Form
} from '../src/pages/train.state.ts';

const column = (name: string, kind: Column['kind'], sensitive = false): Column => ({
  name,
  kind,
  type: 'string',
  nullable: true,
  sensitive
});

const held = (layer: string, params: Graph['nodes'][string]['params'] = {}) => ({
  layer,
  params,
  name: '',
  group: ''
});

/** What the service suggests for a middling table: two layers, the second adds its input. */
const suggested: Graph = {
  name: 'network',
  nodes: {
    table: held('input'),
    dense1: held('dense', { units: 64 }),
    relu1: held('relu'),
    dropout1: held('dropout', { rate: 0.2 }),
    dense2: held('dense', { units: 64 }),
    relu2: held('relu'),
    dropout2: held('dropout', { rate: 0.2 }),
    add2: held('add'),
    target: held('output')
  },
  edges: Object.fromEntries(
    [
      ['table', 'dense1'],
      ['dense1', 'relu1'],
      ['relu1', 'dropout1'],
      ['dropout1', 'dense2'],
      ['dense2', 'relu2'],
      ['relu2', 'dropout2'],
      ['dropout2', 'add2'],
      ['dropout1', 'add2'],
      ['add2', 'target']
    ].map(([source, target]) => [
      `${source}_${target}`,
      { source: source!, target: target!, port: 'in', output: 'out', order: 0 }
    ])
  ),
  groups: {},
  groups: {},
  layout: {},
  data: {},
  training: { epochs: 200 }
};

test('the suggested graph is read as hidden layers, and written back the same', () => {
  const hidden = hiddenOf(suggested);
  assert.deepEqual(hidden, [
    { units: 64, activation: 'relu', dropout: 0.2, skip: false },
    { units: 64, activation: 'relu', dropout: 0.2, skip: true }
  ]);
  const again = withHidden(suggested, hidden!);
  assert.deepEqual(again.nodes, suggested.nodes);
  assert.deepEqual(again.edges, suggested.edges);
  assert.equal(again.training.epochs, 200);
});

test('a layer of another size does not add its input', () => {
  const hidden = hiddenOf(suggested)!;
  const narrower = [hidden[0]!, { ...hidden[1]!, units: 16 }];
  assert.equal(maySkip(narrower, 1), false);
  const graph = withHidden(suggested, narrower);
  assert.equal('add2' in graph.nodes, false);
  assert.equal(hiddenOf(graph)!.length, 2);
});

test('layers are added and removed down to none', () => {
  const three = addHidden(hiddenOf(suggested)!);
  assert.equal(hiddenOf(withHidden(suggested, three))!.length, 3);
  const none = withHidden(suggested, []);
  assert.deepEqual(Object.keys(none.nodes), ['table', 'target']);
  assert.deepEqual(hiddenOf(none), []);
});

test('a graph that is no row of layers is not edited here', () => {
  const odd: Graph = {
    ...suggested,
    nodes: { ...suggested.nodes, relu1: held('leaky_relu', { slope: 0.2 }) }
  };
  assert.equal(hiddenOf(odd), null);
});

test('nodes are placed from left to right with their sizes', () => {
  const places = drawing(suggested);
  const at = (id: string) => places.find(place => place.id === id)!;
  assert.equal(at('table').column, 0);
  assert.equal(at('target').column, 8);
  assert.equal(at('add2').size, 64);
  assert.equal(at('dropout1').detail, '20 %');
  assert.equal(at('target').size, null);
});

test('the target is guessed by its name, else the last column that can be one', () => {
  const columns = [column('default', 'category'), column('age', 'number'), column('id', 'text')];
  assert.equal(guessTarget(columns, null), 'default');
  assert.equal(guessTarget(columns.slice(1), null), 'age');
  assert.equal(guessTarget(columns, null, 'age'), 'age');
  assert.equal(guessTarget([], null), '');
});

test('the task is guessed by the kind and how many values there are', () => {
  assert.equal(guessTask(column('a', 'category'), 900), 'classification');
  assert.equal(guessTask(column('a', 'integer'), 2), 'classification');
  assert.equal(guessTask(column('a', 'integer'), 900), 'regression');
  assert.equal(guessTask(column('a', 'number'), 2), 'classification');
  assert.equal(guessTask(column('a', 'number'), 3), 'regression');
  assert.equal(guessTask(column('a', 'integer'), undefined), null);
});

test('sensitive columns and keys are suggested to be left out; leakage is only told', () => {
  const columns = [column('sex', 'category', true), column('row', 'integer'), column('x', 'number')];
  const profile = {
    columns: [{ name: 'row', key: true, looks_sensitive: '' }],
    leakage: ['x alone tells y right for 99% of the rows: was it known before?']
  } as unknown as Profile;
  const why = reasons(columns, profile, 'y');
  assert.equal(why.x?.reason, 'leakage');
  assert.deepEqual(suggestedOut(why), ['sex', 'row']);
});

test('the request names the estimator as the task calls it, and refuses what is no number', () => {
  const form: Form = {
    product: 'prd_1@0',
    target: 'price',
    estimator: 'logistic',
    task: 'auto',
    exclude: ['price', 'sex'],
    name: ' p ',
    seed: '7',
    epochs: '5',
    trials: '1',
    workers: ''
  };
  const made = request(form, 'regression', suggested);
  assert.ok('body' in made);
  assert.equal(made.body.estimator, 'linear');
  assert.equal(made.body.task, 'regression');
  assert.deepEqual(made.body.exclude, ['sex']);
  assert.equal('graph' in made.body || 'epochs' in made.body, false);
  assert.deepEqual(request({ ...form, seed: '1.5' }, 'regression', null), { wrong: 'seed' });
  assert.deepEqual(request({ ...form, epochs: '0' }, 'regression', null), { wrong: 'epochs' });
  assert.deepEqual(request(form, null, null), { wrong: 'task' });
  assert.ok('body' in request({ ...form, task: 'regression' }, null, null));
  assert.deepEqual(request({ ...form, target: '' }, 'regression', null), { wrong: 'target' });
});

test('more than one setting to try is a search, which has no graph', () => {
  const form: Form = {
    product: 'prd_1@0',
    target: 'y',
    estimator: 'network',
    task: 'auto',
    exclude: [],
    name: '',
    seed: '0',
    epochs: '5',
    trials: '20',
    workers: ''
  };
  const made = request(form, 'classification', suggested);
  assert.ok('action' in made && made.action === 'models:tune');
  assert.equal(made.body.trials, 20);
  assert.equal(made.body.epochs, 5);
  assert.equal('graph' in made.body, false);
  const plain = request({ ...form, trials: '1' }, 'classification', suggested);
  assert.ok('action' in plain && plain.action === 'models:train' && plain.body.graph);
  for (const trials of ['0', '-1', '2.5', '1001', 'many']) {
    assert.deepEqual(request({ ...form, trials }, 'classification', null), { wrong: 'trials' });
  }
  for (const workers of ['0', '65', '1.5', 'all']) {
    assert.deepEqual(request({ ...form, workers }, 'classification', null), { wrong: 'workers' });
  }
  const four = request({ ...form, workers: '4' }, 'classification', null);
  assert.ok('body' in four && four.body.workers === 4);
  const alone = request({ ...form, estimator: 'lightgbm', trials: '1', workers: '4' }, 'classification', null);
  assert.ok('body' in alone && !('workers' in alone.body));
  const constant = request({ ...form, estimator: 'majority', trials: '20' }, 'classification', null);
  assert.ok('action' in constant && constant.action === 'models:train');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  Attribute,
  Comparison,
  Field,
  Guess,
  Model,
  Product,
  Profile,
  Report
} from '@nexus-workbench/contract';
import { alike, asked, choose, decided, whiskers } from '../src/pages/compare.state.ts';
import {
  best,
  competitors,
  exportsOf,
  firstRow,
  metricsOf,
  reportsOf,
  rowOf,
  short,
  showFigure,
  versionOf
} from '../src/pages/model.state.ts';
import {
  ACCEPT,
  known,
  mark,
  missing,
  registration,
  suggested
} from '../src/pages/new-product.state.ts';
import { firstQuery, leak, page, quoted, share } from '../src/pages/product.state.ts';
import { python } from '../src/same.ts';
import { bytes } from '../src/parts/scale.ts';
import { between, mark as sign, ordered, percent } from '../src/pages/report.state.ts';

const guess = {
  format: 'csv',
  columns: [{ name: 'age' }, { name: 'sex' }, { name: 'pay' }],
  rows: [
    [31, 'f', null],
    [null, 'm', null]
  ],
  sensitive: ['sex'],
  suggested_name: 'staff'
} as unknown as Guess;

test('files are known by their endings, sizes are in powers of ten', () => {
  assert.ok(known('Table.CSV') && known('a.csv.gz') && known('a.parquet'));
  assert.equal(known('photo.png'), false);
  assert.ok(ACCEPT.split(',').includes('.gz'));
  assert.deepEqual([bytes(999), bytes(1500), bytes(2_000_000)], ['999 B', '1.5 kB', '2.0 MB']);
});

test('a registration keeps the order of the columns and trims what was typed', () => {
  const answers = mark(suggested(guess), guess, 'age', true);
  assert.deepEqual(answers.sensitive, ['age', 'sex']);
  assert.deepEqual(mark(answers, guess, 'sex', false).sensitive, ['age']);
  assert.deepEqual(registration('blob:blb_1', guess, { ...answers, name: ' staff ' }), {
    source: 'blob:blb_1',
    format: 'csv',
    name: 'staff',
    description: '',
    sensitive: ['age', 'sex']
  });
  assert.deepEqual(missing(guess), [1, 0, 2]);
});

test('pages of rows stay within the table', () => {
  assert.deepEqual(page(0, 120), { first: 1, last: 50, at: 0 });
  assert.deepEqual(page(119, 120), { first: 101, last: 120, at: 100 });
  assert.deepEqual(page(9999, 120), { first: 101, last: 120, at: 100 });
  assert.deepEqual(page(-3, 0), { first: 0, last: 0, at: 0 });
});

test('names are quoted for SQL where they must be', () => {
  assert.equal(quoted('age'), 'age');
  assert.equal(quoted('credit-history'), '"credit-history"');
  assert.equal(quoted('a"b'), '"a""b"');
  const product = { name: 'my table', columns: [{ name: 'x', kind: 'number' }] };
  assert.equal(firstQuery(product as unknown as Product), 'SELECT *\nFROM "my table"\nLIMIT 100');
});

test('a leakage sentence belongs to the column it names', () => {
  const profile = {
    leakage: [
      'pay alone tells y right for 99% of the rows: was it known before?',
      'Of the 40 rows with step = 3, 98% have y = 1 (20% of all): why?'
    ]
  } as unknown as Profile;
  assert.match(leak('pay', profile), /^pay alone/);
  assert.match(leak('step', profile), /step = 3/);
  assert.equal(leak('pa', profile), '');
  assert.equal(leak('y', profile), '');
  assert.deepEqual([share(0.0001), share(0.125)], ['< 0.1 %', '12.5 %']);
});

const figure = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
const model = {
  id: 'mdl_1',
  version: 1,
  estimator: 'logistic',
  task: 'classification',
  target: 'y',
  metrics: { accuracy: figure(0.8), brier: figure(0.2) },
  beside: {
    majority: { accuracy: figure(0.6), brier: figure(0.3) },
    logistic: { accuracy: figure(0.8) },
    lightgbm: { accuracy: figure(0.82), brier: figure(0.1) }
  }
} as unknown as Model;

test('a model stands beside the others, and is not shown twice', () => {
  const rows = competitors(model);
  assert.deepEqual(
    rows.map(row => row.name),
    ['logistic', 'majority', 'lightgbm']
  );
  assert.deepEqual(metricsOf(rows), ['accuracy', 'brier']);
  assert.equal(best('accuracy', [figure(0.8), null, figure(0.82)]), 2);
  assert.equal(best('brier', [figure(0.2), figure(0.3), figure(0.1)]), 2);
  assert.equal(best('auc', [null, undefined]), null);
  assert.equal(showFigure('accuracy', figure(0.8)), '80.0 % (70.0 % – 90.0 %)');
  assert.equal(showFigure('auc', null), '–');
});

test('one row: examples first, an empty field is missing, letters are no number', () => {
  const inputs: Field[] = [
    { name: 'age', kind: 'integer', categories: [], minimum: 18, maximum: 90, example: 31 },
    { name: 'job', kind: 'category', categories: ['a', 'b'], minimum: null, maximum: null, example: null }
  ];
  assert.deepEqual(firstRow(inputs), { age: '31', job: 'a' });
  assert.deepEqual(rowOf(inputs, { age: '', job: 'b' }), { row: { age: null, job: 'b' } });
  assert.deepEqual(rowOf(inputs, { age: '4.5', job: '' }), { row: { age: 4.5, job: null } });
  assert.deepEqual(rowOf(inputs, { age: 'old', job: 'b' }), { wrong: 'age' });
});

test('reports on this version come apart from those on others', () => {
  const reports = ['mdl_1@1', 'mdl_1@0', 'mdl_2@1'].map(of => ({ model: of })) as Report[];
  const { own, others } = reportsOf(model, reports);
  assert.deepEqual([own.length, others.length, others[0]?.model], [1, 1, 'mdl_1@0']);
  assert.deepEqual([versionOf('prd_1@3'), versionOf('prd_1')], [3, null]);
  assert.equal(short('sha256:0123456789abcdef'), 'sha256:0123456789ab');
  assert.ok(exportsOf('network').includes('safetensors'));
  assert.equal(exportsOf('lightgbm')[0], 'lightgbm');
});

test('a comparison starts with what was asked for and offers only what is alike', () => {
  assert.deepEqual(asked({ models: 'mdl_2@0, mdl_1@1' }, 'mdl_1@1'), ['mdl_1@1', 'mdl_2@0']);
  assert.deepEqual(asked({}, ''), []);
  assert.deepEqual(choose(['a', 'b'], 'a', false), ['b']);
  const other = { ...model, id: 'mdl_2', target: 'z' } as Model;
  assert.deepEqual([...alike([model, other], ['mdl_1@1'])], ['mdl_1@1']);
  assert.equal(alike([model, other], []).size, 2);
  assert.equal(decided({ value: 0.2, low: 0.1, high: 0.3 }), true);
  assert.equal(decided({ value: 0.2, low: -0.1, high: 0.5 }), false);
  const comparison = { names: ['a', 'b'], metrics: { auc: [figure(0.7), null] } };
  assert.equal(whiskers(comparison as unknown as Comparison, 'auc').length, 1);
});

test('a report puts what fails first, and tells verdicts apart by shape', () => {
  const attribute = (name: string, verdict: Report['verdict'], gap: number) =>
    ({ name, verdict, gap, groups: [] }) as unknown as Attribute;
  const names = ordered([
    attribute('a', 'pass', 0.05),
    attribute('b', 'too few to tell', 0.3),
    attribute('c', 'fail', 0.2)
  ]).map(each => each.name);
  assert.deepEqual(names, ['c', 'b', 'a']);
  assert.equal(new Set([sign('pass'), sign('fail'), sign('too few to tell')]).size, 3);
  const groups = [
    { name: 'few', rows: 3, selection_rate: 1 },
    { name: 'f', rows: 50, selection_rate: 0.4 },
    { name: 'm', rows: 50, selection_rate: 0.6 }
  ];
  assert.equal(between({ groups } as unknown as Attribute)?.most.name, 'm');
  assert.equal(between({ groups: groups.slice(0, 2) } as unknown as Attribute), null);
  assert.deepEqual([percent(null), percent(0.123)], ['–', '12.3 %']);
});

test('values are written as Python writes them', () => {
  const row = { a: null, b: true, 'c"d': ['x, null', 1.5], e: { f: false } };
  assert.equal(
    python(row),
    '{"a": None, "b": True, "c\\"d": ["x, null", 1.5], "e": {"f": False}}'
  );
});

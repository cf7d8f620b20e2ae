/** A small layer table for the tests. */

import type { Layer, Parameter } from '../src/wire.ts';

export const parameter = (part: Partial<Parameter> & Pick<Parameter, 'name' | 'type'>): Parameter => ({
  default: null,
  minimum: null,
  maximum: null,
  choices: [],
  unit: '',
  length: null,
  shortest: 1,
  meaning: '',
  ...part
});

const layer = (part: Partial<Layer> & Pick<Layer, 'name'>): Layer => ({
  title: part.name,
  group: 'dense',
  ports: [{ name: 'in', meaning: '', many: false, optional: false }],
  outputs: [{ name: 'out', meaning: '', many: false, optional: false }],
  params: [],
  formula: '',
  source: '',
  meaning: '',
  ...part
});

export const LAYERS: Layer[] = [
  layer({ name: 'input', title: 'Table', group: 'ends', ports: [] }),
  layer({
    name: 'dense',
    title: 'Dense',
    meaning: 'Every number from every number.',
    params: [parameter({ name: 'units', type: 'integer', default: 32, minimum: 1, maximum: 16384 })]
  }),
  layer({ name: 'conv2d', title: '2-D convolution', group: 'convolution' }),
  layer({ name: 'dropout', title: 'Dropout', group: 'regularisation' }),
  layer({
    name: 'add',
    title: 'Sum',
    group: 'join',
    ports: [{ name: 'in', meaning: '', many: true, optional: false }]
  }),
  layer({
    name: 'operation',
    title: 'Function of torch',
    group: 'operation',
    ports: [{ name: 'in', meaning: '', many: true, optional: true }],
    params: [
      parameter({ name: 'function', type: 'choice', default: 'abs', choices: ['abs', 'pow', 'sum'] }),
      parameter({ name: 'arguments', type: 'arguments', default: [{ in: 0 }] }),
      parameter({ name: 'named', type: 'arguments', default: {} }),
      parameter({ name: 'item', type: 'integer', default: -1 }),
      parameter({ name: 'takes', type: 'arguments', default: [] }),
      parameter({ name: 'gives', type: 'arguments', default: [{ rows: 1 }, 1] })
    ]
  }),
  layer({ name: 'output', title: 'Target', group: 'ends', outputs: [] })
];

export const TABLE = new Map(LAYERS.map(each => [each.name, each]));

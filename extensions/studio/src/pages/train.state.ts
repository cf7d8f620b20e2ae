/** What the training page knows: the estimators, the hidden layers of a graph, the drawing of it. */

import type {
  Column,
  Graph,
  ModelsTrainRequest,
  ModelsTuneRequest,
  Node,
  Profile
} from '@nexus-workbench/contract';
import { leak } from './product.state.ts';

export type Task = 'classification' | 'regression';

/** Estimators in the order they are offered; `network` is the one with a graph. */
export const ESTIMATORS = ['network', 'logistic', 'lightgbm', 'forest', 'majority'] as const;
export type Estimator = (typeof ESTIMATORS)[number];

/** The name the service knows an estimator by: regression has its own words for two of them. */
export function serviceName(estimator: Estimator, task: Task): string {
  if (task === 'regression') {
    return estimator === 'logistic' ? 'linear' : estimator === 'majority' ? 'mean' : estimator;
  }
  return estimator;
}

/** Whole numbers with at most this many different values are taken for classes. */
const FEW = 10;

/**
 * What a column asks for, as the service guesses it: few different values are classes. Null for
 * numbers whose values nobody has counted yet.
 */
export function guessTask(column: Column | undefined, distinct: number | undefined): Task | null {
  if (column?.kind !== 'number' && column?.kind !== 'integer') {
    return 'classification';
  }
  if (distinct === undefined) {
    return null;
  }
  return distinct <= (column.kind === 'number' ? 2 : FEW) ? 'classification' : 'regression';
}

/** Words a target's name often holds, as the service knows them, and those of decisions. */
const TARGETS =
  /^(target|label|class|outcome|churn|default|decision|survived|response|y|approved|denied|deny|risk)$/;

/**
 * The column to predict: the one asked for, the profile's, one called like a target, or the last
 * of few values. Numbers are more often measured than predicted.
 */
export function guessTarget(columns: Column[], profile: Profile | null, asked = ''): string {
  const names = new Set(columns.map(column => column.name));
  for (const name of [asked, profile?.target ?? '']) {
    if (name && names.has(name)) {
      return name;
    }
  }
  const usable = columns.filter(column => column.kind !== 'text' && column.kind !== 'time');
  const called = usable.find(column =>
    column.name
      .toLowerCase()
      .split(/[_\W]+/)
      .some(word => TARGETS.test(word))
  );
  const few = usable.filter(column => column.kind === 'category' || column.kind === 'boolean');
  const last = few.filter(column => !column.sensitive).at(-1) ?? few.at(-1) ?? usable.at(-1);
  return (called ?? last ?? columns.at(-1))?.name ?? '';
}

/** Why a column may be left out. */
export type Reason = 'sensitive' | 'looks-sensitive' | 'key' | 'leakage';

/** Reasons to leave columns out, strongest first; a sentence of the profile's where it has one. */
export function reasons(
  columns: Column[],
  profile: Profile | null,
  target: string
): Record<string, { reason: Reason; note: string }> {
  const found: Record<string, { reason: Reason; note: string }> = {};
  for (const column of columns) {
    if (column.name === target) {
      continue;
    }
    const told = profile?.columns.find(each => each.name === column.name);
    const tells = profile ? leak(column.name, profile) : '';
    if (column.sensitive) {
      found[column.name] = { reason: 'sensitive', note: tells };
    } else if (tells) {
      found[column.name] = { reason: 'leakage', note: tells };
    } else if (told?.looks_sensitive) {
      found[column.name] = { reason: 'looks-sensitive', note: told.looks_sensitive };
    } else if (told?.key) {
      found[column.name] = { reason: 'key', note: '' };
    }
  }
  return found;
}

/** One hidden layer: a dense layer, what follows it, and whether it adds what came in. */
export interface Hidden {
  units: number;
  activation: string;
  /** Share of the numbers set to zero while training, 0..1. */
  dropout: number;
  skip: boolean;
}

/**
 * The hidden layers of a graph, or null if it is not a chain of dense, activation, dropout and a
 * sum with what came before: then it is drawn, and not edited here.
 */
export function hiddenOf(graph: Graph): Hidden[] | null {
  const next = new Map<string, string[]>();
  for (const id of Object.keys(graph.edges).sort()) {
    const edge = graph.edges[id]!;
    next.set(edge.source, [...(next.get(edge.source) ?? []), edge.target]);
  }
  const layerOf = (id: string): string => graph.nodes[id]?.layer ?? '';
  let at = Object.keys(graph.nodes).find(id => layerOf(id) === 'input') ?? '';
  const hidden: Hidden[] = [];
  for (let steps = 0; at && steps <= Object.keys(graph.nodes).length; steps += 1) {
    const onward = next.get(at) ?? [];
    const to = onward.find(id => layerOf(id) !== 'add') ?? onward[0];
    const layer = to === undefined ? '' : layerOf(to);
    const last = hidden.at(-1);
    if (to === undefined || (layer !== 'dense' && layer !== 'output' && !last)) {
      return null;
    }
    if (layer === 'output') {
      return hidden;
    }
    const params = graph.nodes[to]?.params ?? {};
    if (layer === 'dense') {
      hidden.push({ units: whole(params.units, 32), activation: '', dropout: 0, skip: false });
    } else if (layer === 'dropout') {
      last!.dropout = number(params.rate, 0.5);
    } else if (layer === 'add') {
      last!.skip = true;
    } else if (last!.activation || Object.keys(params).length > 0) {
      return null;
    } else {
      last!.activation = layer;
    }
    at = to;
  }
  return null;
}

/** The graph with these hidden layers; what surrounds them (ends, training) stays as it is. */
export function withHidden(graph: Graph, hidden: Hidden[]): Graph {
  const named = (layer: string, otherwise: string): [string, Node] =>
    Object.entries(graph.nodes).find(([, node]) => node.layer === layer) ?? [
      otherwise,
      { layer, params: {}, name: '', group: '' }
    ];
  const [input, inputNode] = named('input', 'table');
  const [output, outputNode] = named('output', 'target');
  const nodes: Graph['nodes'] = { [input]: inputNode };
  const edges: Graph['edges'] = {};
  let last = input;
  const follow = (id: string, layer: string, params: Node['params'], given: string[]): void => {
    nodes[id] = { layer, params, name: '', group: '' };
    for (const source of given) {
      edges[`${source}_${id}`] = { source, target: id, port: 'in', output: 'out', order: 0 };
    }
    last = id;
  };
  hidden.forEach((layer, index) => {
    const step = index + 1;
    const before = last;
    follow(`dense${step}`, 'dense', { units: layer.units }, [last]);
    if (layer.activation) {
      follow(`${layer.activation}${step}`, layer.activation, {}, [last]);
    }
    if (layer.dropout > 0) {
      follow(`dropout${step}`, 'dropout', { rate: layer.dropout }, [last]);
    }
    if (maySkip(hidden, index) && layer.skip) {
      follow(`add${step}`, 'add', {}, [last, before]);
    }
  });
  follow(output, outputNode.layer, outputNode.params, [last]);
  const layout: Graph['layout'] = {};
  Object.keys(nodes).forEach((id, place) => {
    layout[id] = [160 * place, 0];
  });
  return { ...graph, nodes, edges, layout };
}

/** Whether a layer can add what came in: the sizes must be equal. */
export function maySkip(hidden: Hidden[], index: number): boolean {
  return index > 0 && hidden[index - 1]?.units === hidden[index]?.units;
}

/** One layer more, as the last one is. */
export function addHidden(hidden: Hidden[]): Hidden[] {
  const last = hidden.at(-1) ?? { units: 32, activation: 'relu', dropout: 0.1, skip: false };
  return [...hidden, { ...last, skip: hidden.length > 0 }];
}

/** A node as it is drawn: units of the drawing, left to right. */
export interface Drawn {
  id: string;
  layer: string;
  /** Length of its vectors; null where the service decides (the table, the target). */
  size: number | null;
  detail: string;
  column: number;
  row: number;
}

/** Places for the nodes of any graph without cycles: as far right as its longest way in. */
export function drawing(graph: Graph): Drawn[] {
  const into = new Map<string, string[]>();
  for (const edge of Object.values(graph.edges)) {
    into.set(edge.target, [...(into.get(edge.target) ?? []), edge.source]);
  }
  const columns = new Map<string, number>();
  const place = (id: string, seen: Set<string>): number => {
    const known = columns.get(id);
    if (known !== undefined || seen.has(id)) {
      return known ?? 0;
    }
    const before = (into.get(id) ?? []).map(source => place(source, new Set([...seen, id])));
    const column = before.length ? Math.max(...before) + 1 : 0;
    columns.set(id, column);
    return column;
  };
  const sizes = new Map<string, number | null>();
  const sizeOf = (id: string): number | null => {
    if (!sizes.has(id)) {
      sizes.set(id, null);
      const node = graph.nodes[id];
      const given = into.get(id) ?? [];
      const ends = node?.layer === 'input' || node?.layer === 'output';
      const own = node?.layer === 'dense' ? whole(node.params.units, 32) : null;
      const first = given[0];
      const joined =
        node?.layer === 'concat'
          ? given.map(sizeOf).reduce<number | null>(
              (sum, size) => (sum === null || size === null ? null : sum + size),
              0
            )
          : first === undefined
            ? null
            : sizeOf(first);
      sizes.set(id, ends ? null : (own ?? joined));
    }
    return sizes.get(id) ?? null;
  };
  const rows = new Map<number, number>();
  return Object.entries(graph.nodes).map(([id, node]) => {
    const column = place(id, new Set());
    const row = rows.get(column) ?? 0;
    rows.set(column, row + 1);
    const rate = node.layer === 'dropout' ? `${Math.round(number(node.params.rate, 0.5) * 100)} %` : '';
    return { id, layer: node.layer, size: sizeOf(id), detail: rate, column, row };
  });
}

/** What the form asks of the service. */
export interface Form {
  product: string;
  target: string;
  estimator: Estimator;
  task: Task | 'auto';
  exclude: string[];
  name: string;
  seed: string;
  epochs: string;
  /** How many settings are tried; one of them is no search. */
  trials: string;
  /** How many processes train a network together, or try settings; empty: the usual number. */
  workers: string;
}

/** The most workers of one job. */
export const MOST_WORKERS = 64;

/** The most settings that a search tries. */
export const MOST_TRIALS = 1_000;

/** Whether an estimator has settings that can be searched. */
export function searchable(estimator: Estimator): boolean {
  return estimator !== 'majority';
}

/** How many settings the form asks for: 1 is no search, NaN no number. */
export function trialsOf(form: Pick<Form, 'trials' | 'estimator'>): number {
  if (!searchable(form.estimator) || form.trials.trim() === '') {
    return 1;
  }
  const trials = Number(form.trials);
  return Number.isInteger(trials) && trials >= 1 && trials <= MOST_TRIALS ? trials : NaN;
}

/** What the form asks of which action. */
export type Asked =
  | { action: 'models:train'; body: ModelsTrainRequest }
  | { action: 'models:tune'; body: ModelsTuneRequest };

/** The request, or the sentence-key of what is wrong with the form. */
export function request(
  form: Form,
  guessed: Task | null,
  graph: Graph | null
): Asked | { wrong: 'target' | 'task' | 'seed' | 'epochs' | 'trials' | 'workers' } {
  const seed = Number(form.seed);
  const epochs = form.epochs.trim() === '' ? null : Number(form.epochs);
  if (!form.target) {
    return { wrong: 'target' };
  }
  if (form.seed.trim() === '' || !Number.isInteger(seed) || seed < 0) {
    return { wrong: 'seed' };
  }
  if (epochs !== null && (!Number.isInteger(epochs) || epochs < 1 || epochs > 10_000)) {
    return { wrong: 'epochs' };
  }
  const trials = trialsOf(form);
  if (Number.isNaN(trials)) {
    return { wrong: 'trials' };
  }
  const shared = trials > 1 || form.estimator === 'network';
  const workers = shared && form.workers.trim() !== '' ? Number(form.workers) : null;
  if (workers !== null && (!Number.isInteger(workers) || workers < 1 || workers > MOST_WORKERS)) {
    return { wrong: 'workers' };
  }
  const task = form.task === 'auto' ? guessed : form.task;
  if (task === null) {
    return { wrong: 'task' };
  }
  const network = form.estimator === 'network';
  const body = {
    product: form.product,
    target: form.target,
    estimator: serviceName(form.estimator, task),
    task,
    exclude: form.exclude.filter(column => column !== form.target),
    name: form.name.trim(),
    seed,
    ...(network && epochs !== null ? { epochs } : {}),
    ...(workers !== null ? { workers } : {})
  };
  return trials > 1
    ? { action: 'models:tune', body: { ...body, trials } }
    : { action: 'models:train', body: { ...body, ...(network && graph ? { graph } : {}) } };
}

function whole(value: unknown, otherwise: number): number {
  return Math.round(number(value, otherwise));
}

function number(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : otherwise;
}

/** Columns suggested to be left out: what was declared sensitive, and keys. */
export function suggestedOut(why: Record<string, { reason: Reason }>): string[] {
  return Object.entries(why)
    .filter(([, { reason }]) => reason === 'sensitive' || reason === 'key')
    .map(([name]) => name);
}

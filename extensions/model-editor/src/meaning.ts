/** What the service says a graph means, kept up to date from what it sends. */

import type { MeaningMessage, NodeMeaning, Problem } from './wire.ts';

export interface Meaning {
  /** The number of the edit it is about; -1 before the service said anything. */
  readonly seq: number;
  readonly nodes: ReadonlyMap<string, NodeMeaning>;
  readonly problems: readonly Problem[];
  readonly parameters: number | null;
  readonly flops: number | null;
  readonly activation_bytes: number | null;
}

export const NOTHING: Meaning = {
  seq: -1,
  nodes: new Map(),
  problems: [],
  parameters: null,
  flops: null,
  activation_bytes: null
};

/** Nodes about which the same is said stay the same objects. */
export function understood(old: Meaning, told: MeaningMessage): Meaning {
  const nodes = new Map(told.whole ? [] : old.nodes);
  for (const [id, value] of Object.entries(told.nodes)) {
    const before = old.nodes.get(id);
    if (value === null) {
      nodes.delete(id);
    } else {
      nodes.set(id, before && JSON.stringify(before) === JSON.stringify(value) ? before : value);
    }
  }
  const { seq, problems, parameters, flops, activation_bytes } = told;
  return { seq, nodes, problems, parameters, flops, activation_bytes };
}

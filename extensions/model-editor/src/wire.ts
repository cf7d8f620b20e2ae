/** What crosses the wire: the contract's Records, and the messages of a room. */

import type { Meaning, NodeMeaning } from '@nexus-workbench/contract';

export type { Layer, NodeMeaning, Parameter, Port } from '@nexus-workbench/contract';

/** About a node, an edge, or the whole graph if both are empty. */
export type Problem = Meaning['problems'][number];

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What the service says about a state of the graph; `null` for a node that is gone. */
export interface MeaningMessage extends Omit<Meaning, 'nodes'> {
  seq: number;
  /** Whether it replaces all that was said before. */
  whole: boolean;
  nodes: Record<string, NodeMeaning | null>;
}

export interface Notice {
  kind: 'refused' | 'restored' | 'closed' | 'problem';
  text: string;
  hint: string;
}

export interface Hello {
  /** The number of the document's newest edit. */
  seq: number;
  actor: string;
  color: string;
  may_write: boolean;
  /** The document's. */
  name: string;
}

/** The first number of each message of a room. */
export const MESSAGE = {
  sync: 0,
  awareness: 1,
  acknowledgement: 100,
  meaning: 101,
  notice: 102,
  hello: 103
} as const;

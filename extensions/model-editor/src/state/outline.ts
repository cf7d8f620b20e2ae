/** The graph as a list: groups with what is in them, layers in the order in which they compute. */

import { ancestors, type Graph, type GraphGroup, type GraphNode } from '../document.ts';
import { topological } from './graph.ts';

export type Item =
  | { readonly kind: 'node'; readonly id: string; readonly level: number; readonly node: GraphNode }
  | {
      readonly kind: 'group';
      readonly id: string;
      readonly level: number;
      readonly group: GraphGroup;
      readonly count: number;
    };

/** A group stands where its first layer would; a folded one hides what is in it. */
export function outline(graph: Pick<Graph, 'nodes' | 'edges' | 'groups'>): Item[] {
  const order = topological(graph);
  const inside = new Map<string, Item[]>([['', []]]);
  const counts = new Map<string, number>();
  const list = (group: string): Item[] => {
    let found = inside.get(group);
    if (!found) {
      found = [];
      inside.set(group, found);
      const around = ancestors(graph, group);
      list(around[0] ?? '').push({
        kind: 'group',
        id: group,
        level: around.length + 1,
        group: graph.groups.get(group)!,
        count: 0
      });
    }
    return found;
  };
  for (const id of order) {
    const node = graph.nodes.get(id)!;
    const around = node.group ? [node.group, ...ancestors(graph, node.group)] : [];
    for (const group of around) {
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    list(node.group).push({ kind: 'node', id, level: around.length + 1, node });
  }
  const found: Item[] = [];
  const walk = (group: string): void => {
    for (const item of inside.get(group) ?? []) {
      if (item.kind === 'node') {
        found.push(item);
      } else {
        found.push({ ...item, count: counts.get(item.id) ?? 0 });
        if (!item.group.folded) {
          walk(item.id);
        }
      }
    }
  };
  walk('');
  return found;
}

/** A part of a graph as text, to be put into this or another document. */

import { ancestors, type Fragment, type Graph, type GraphEdge, type GraphGroup, type GraphNode, type Place } from '../document.ts';
import type { Json } from '../wire.ts';

const KIND = 'nexus-workbench/graph-fragment';

/** What of a graph is chosen: the nodes, the edges between them, the groups that are in it whole. */
export function fragment(
  graph: Graph,
  places: ReadonlyMap<string, Place>,
  ids: ReadonlySet<string>
): Fragment {
  const nodes = [...graph.nodes.values()].filter(node => ids.has(node.id));
  const used = new Set(nodes.flatMap(node => [node.group, ...ancestors(graph, node.group)]));
  const whole = new Set(used);
  for (const node of graph.nodes.values()) {
    if (!ids.has(node.id)) {
      for (const group of [node.group, ...ancestors(graph, node.group)]) {
        whole.delete(group);
      }
    }
  }
  return {
    nodes: nodes.map(node => ({
      ...node,
      group: whole.has(node.group) ? node.group : '',
      at: places.get(node.id) ?? [0, 0]
    })),
    edges: [...graph.edges.values()].filter(edge => ids.has(edge.source) && ids.has(edge.target)),
    groups: [...graph.groups.values()].filter(group => whole.has(group.id))
  };
}

export function write(part: Fragment): string {
  return JSON.stringify({ kind: KIND, version: 1, ...part });
}

/** Null for a text that is no part of a graph. */
export function read(text: string): Fragment | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(found) || found.kind !== KIND || found.version !== 1) {
    return null;
  }
  const nodes = list(found.nodes).map(each => {
    const at: unknown[] = Array.isArray(each.at) ? each.at : [];
    const [x, y] = [Number(at[0]), Number(at[1])];
    return {
      id: textOf(each.id),
      layer: textOf(each.layer),
      params: isRecord(each.params) ? (each.params as Record<string, Json>) : {},
      name: textOf(each.name),
      group: textOf(each.group),
      at: [Number.isFinite(x) ? x : 0, Number.isFinite(y) ? y : 0] as const
    } satisfies GraphNode & { at: Place };
  });
  const edges = list(found.edges).map(
    (each): GraphEdge => ({
      id: '',
      source: textOf(each.source),
      target: textOf(each.target),
      port: textOf(each.port) || 'in',
      output: textOf(each.output) || 'out',
      order: typeof each.order === 'number' && Number.isFinite(each.order) ? each.order : 0
    })
  );
  const groups = list(found.groups).map(
    (each): GraphGroup => ({
      id: textOf(each.id),
      name: textOf(each.name),
      folded: each.folded === true,
      parent: textOf(each.parent)
    })
  );
  return { nodes: nodes.filter(each => each.id && each.layer), edges, groups: groups.filter(each => each.id) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

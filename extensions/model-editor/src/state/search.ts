/** Finding a layer by a few letters. */

import type { Layer } from '../wire.ts';

/** How well a layer answers a search, 0 if not at all. */
export function fit(layer: Pick<Layer, 'name' | 'title' | 'meaning' | 'group'>, query: string): number {
  const asked = query.trim().toLowerCase();
  if (asked === '') {
    return 1;
  }
  const names = [layer.name, layer.title].map(each => each.toLowerCase());
  const words = names.flatMap(each => each.split(/[\s_\-/]+/));
  if (names.includes(asked)) {
    return 6;
  }
  if (names.some(each => each.startsWith(asked))) {
    return 5;
  }
  if (words.some(each => each.startsWith(asked))) {
    return 4;
  }
  if (names.some(each => each.includes(asked))) {
    return 3;
  }
  if (layer.group.toLowerCase().startsWith(asked) || layer.meaning.toLowerCase().includes(asked)) {
    return 2;
  }
  return names.some(each => scattered(each, asked)) ? 1 : 0;
}

/** Those that answer, the best first; equals stay in their order. */
export function rank<T extends Pick<Layer, 'name' | 'title' | 'meaning' | 'group'>>(
  layers: readonly T[],
  query: string
): T[] {
  return layers
    .map(layer => ({ layer, score: fit(layer, query) }))
    .filter(each => each.score > 0)
    .sort((a, b) => b.score - a.score)
    .map(each => each.layer);
}

/** Whether all letters come, in their order. */
function scattered(text: string, letters: string): boolean {
  let at = 0;
  for (const letter of letters.replace(/\s/g, '')) {
    at = text.indexOf(letter, at) + 1;
    if (at === 0) {
      return false;
    }
  }
  return true;
}

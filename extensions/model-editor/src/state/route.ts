/** The way a connection takes, from the bottom of one card to the top of another. */

import type { Place } from '../document.ts';
import { size } from '../tokens.ts';
import type { Box } from './arrange.ts';

export interface Route {
  /** Of an SVG. */
  readonly d: string;
  /** The middle, where a label stands. */
  readonly x: number;
  readonly y: number;
}

/** From one card to the next in a column. */
const PITCH = size.node.height + size.gap.y;
/** How far from a card a line passes it. */
const CLEAR = 14;

/**
 * Where a connection goes round the cards between its ends; null if it can go straight.
 *
 * The further it goes, the wider, so that two do not lie on each other.
 */
export function aside(source: Box, target: Box, boxes: Iterable<Box>): number | null {
  const [top, bottom] = [source.y + source.height, target.y];
  if (bottom - top < PITCH) {
    return null;
  }
  const ends = [source.x + source.width / 2, target.x + target.width / 2];
  const [from, to] = [Math.min(...ends) - CLEAR, Math.max(...ends) + CLEAR];
  let [left, right] = [Infinity, -Infinity];
  for (const { x, y, width, height } of boxes) {
    if (y + height > top && y < bottom && x < to && x + width > from) {
      left = Math.min(left, x);
      right = Math.max(right, x + width);
    }
  }
  if (left === Infinity) {
    return null;
  }
  const wide = CLEAR + Math.min(56, (bottom - top) / 20);
  const [detourLeft, detourRight] = [from - left, right - to];
  return Math.round(detourRight < detourLeft ? right + wide : left - wide);
}

/** The line, straight or round what is between. */
export function path([sx, sy]: Place, [tx, ty]: Place, round: number | null): Route {
  if (round === null) {
    const reach = Math.max(24, Math.abs(ty - sy) / 2);
    return {
      d: `M${sx},${sy}C${sx},${sy + reach} ${tx},${ty - reach} ${tx},${ty}`,
      x: (sx + tx) / 2,
      y: (sy + ty) / 2
    };
  }
  const bend = size.gap.y;
  return {
    d:
      `M${sx},${sy}C${sx},${sy + bend * 0.7} ${round},${sy} ${round},${sy + bend}` +
      `L${round},${ty - bend}C${round},${ty} ${tx},${ty - bend * 0.7} ${tx},${ty}`,
    x: round,
    y: (sy + ty) / 2
  };
}

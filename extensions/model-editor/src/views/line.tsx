/** A connection on the canvas; one that passes other layers goes round them. */

import { memo, type JSX } from 'react';
import { BaseEdge, type EdgeProps } from '@xyflow/react';
import { path } from '../state/route.ts';
import type { Line } from '../state/drawing.ts';

export const Connection = memo(function Connection({
  id,
  sourceX,
  sourceY,
  targetX,
  targetY,
  label,
  data,
  markerEnd,
  interactionWidth
}: EdgeProps<Line>): JSX.Element {
  const { d, x, y } = path([sourceX, sourceY], [targetX, targetY], data?.round ?? null);
  return (
    <BaseEdge
      id={id}
      path={d}
      label={label}
      labelX={x}
      labelY={y}
      {...(markerEnd ? { markerEnd } : {})}
      interactionWidth={interactionWidth ?? 20}
    />
  );
});

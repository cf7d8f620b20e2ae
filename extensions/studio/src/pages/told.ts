/** What a job tells while it runs. */

import { useEffect, useState } from 'react';
import type { StudioContext } from '../context.ts';
import { NOTHING_TOLD, hear, type Told } from '../state.ts';
import { time } from '../tokens.ts';

/** Follows what the job tells, gathered so that a quick job does not draw a thousand times. */
export function useTold(studio: StudioContext, id: string, onEnd: () => void): Told {
  const [told, setTold] = useState(NOTHING_TOLD);
  useEffect(() => {
    const stop = new AbortController();
    let lines: Parameters<typeof hear>[1][number][] = [];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const draw = (): void => {
      const fresh = lines;
      lines = [];
      timer = undefined;
      setTold(before => hear(before, fresh));
    };
    setTold(NOTHING_TOLD);
    if (!id) {
      return;
    }
    const follow = async (): Promise<void> => {
      const stream = studio.client.follow('/api/v1/pipelines:log', {
        query: { id },
        signal: stop.signal
      });
      for await (const line of stream) {
        lines.push(line);
        timer ??= setTimeout(draw, time.settle);
      }
      clearTimeout(timer);
      draw();
      if (!stop.signal.aborted) {
        onEnd();
      }
    };
    // What is wrong with the job is told by the request for the job itself.
    follow().catch(() => onEnd());
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [studio, id, onEnd]);
  return told;
}

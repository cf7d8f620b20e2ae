/** The lists of the panel: asked for once, and again when an event says they are old. */

import { useEffect, useRef } from 'react';
import type { Client } from '@nexus-workbench/contract';
import { useLoad, type Loaded } from '../parts/load.ts';
import { touched, type Section } from '../state.ts';
import type { Studio } from '../studio.ts';
import { time } from '../tokens.ts';

export interface Listed<T> {
  items: T[];
  next: string | null;
}

/** Lists are short: the newest, and the page of each section shows the rest. */
export const LISTED = 50;

/**
 * One list of the project that is shown.
 *
 * @param ask - The same function at every drawing.
 */
export function useList<T>(
  studio: Studio,
  section: Section,
  ask: (client: Client, signal: AbortSignal) => Promise<Listed<T>>
): Loaded<Listed<T>> {
  const { client } = studio;
  const list = useLoad(signal => ask(client, signal), [client]);
  const { reload } = list;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let connected = studio.connected;
    const soon = (): void => {
      clearTimeout(timer);
      timer = setTimeout(reload, time.settle);
    };
    const heard = (_: unknown, event: Parameters<typeof touched>[0]): void => {
      if (touched(event).includes(section)) {
        soon();
      }
    };
    // What happened while the stream was broken was not told.
    const told = (): void => {
      if (studio.connected && !connected) {
        soon();
      }
      connected = studio.connected;
    };
    studio.changed.connect(heard);
    studio.told.connect(told);
    return () => {
      clearTimeout(timer);
      studio.changed.disconnect(heard);
      studio.told.disconnect(told);
    };
  }, [studio, section, reload]);
  return list;
}

/** Brings an element into view when `wanted` becomes true. */
export function useInView<E extends HTMLElement>(wanted: boolean): React.RefObject<E> {
  const ref = useRef<E>(null);
  useEffect(() => {
    if (wanted) {
      ref.current?.scrollIntoView({ block: 'nearest' });
    }
  }, [wanted]);
  return ref;
}

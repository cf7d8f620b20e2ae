/** What every part of the editor is given. */

import { createContext, useContext, useSyncExternalStore, type CSSProperties, type ReactNode } from 'react';
import type { Session } from '../session.ts';
import type { Readable } from '../store.ts';
import type { Words } from '../words.ts';

export interface HereValue {
  session: Session;
  words: Words;
  nodeExtra?: ((id: string) => ReactNode) | undefined;
}

export const Here = createContext<HereValue | null>(null);

export function useHere(): HereValue {
  const here = useContext(Here);
  if (!here) {
    throw new Error('A part of the editor is drawn outside of it.');
  }
  return here;
}

export function useStore<T>(store: Readable<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}

const COLOUR = /^(#[\da-f]{3,8}|(rgb|hsl)a?\([\d\s.,%/a-z]+\)|[a-z]+)$/i;

/** The colour of a person, as a variable for the style sheet. */
export function painted(color: string): CSSProperties {
  return {
    '--nx-person': COLOUR.test(color) ? color : 'var(--jp-brand-color1)'
  } as CSSProperties;
}

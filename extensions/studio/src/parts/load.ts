/** Ask the service for something, and draw what came, or why it did not. */

import { useCallback, useEffect, useState, type DependencyList } from 'react';

export interface Loaded<T> {
  /** Undefined until it came; kept while it is asked for again. */
  data: T | undefined;
  error: Error | null;
  loading: boolean;
  reload: () => void;
}

interface Held<T> {
  data: T | undefined;
  error: Error | null;
  loading: boolean;
}

/**
 * @param load - Asks; called again when `deps` change (what was there is then forgotten) and by
 *   `reload` (what was there stays until the new answer comes).
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  deps: DependencyList
): Loaded<T> {
  const [held, setHeld] = useState<Held<T>>({ data: undefined, error: null, loading: true });
  const [again, setAgain] = useState(0);

  const ask = (signal: AbortSignal): void => {
    load(signal).then(
      data => {
        if (!signal.aborted) {
          setHeld({ data, error: null, loading: false });
        }
      },
      (error: unknown) => {
        if (!signal.aborted) {
          const told = error instanceof Error ? error : new Error(String(error));
          setHeld(old => ({ data: old.data, error: told, loading: false }));
        }
      }
    );
  };

  useEffect(() => {
    const stop = new AbortController();
    setHeld({ data: undefined, error: null, loading: true });
    ask(stop.signal);
    return () => stop.abort();
    // The caller names what `load` depends on.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, deps);

  useEffect(() => {
    if (again === 0) {
      return;
    }
    const stop = new AbortController();
    setHeld(old => ({ ...old, error: null, loading: true }));
    ask(stop.signal);
    return () => stop.abort();
    // Only when `reload` is called.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [again]);

  const reload = useCallback(() => setAgain(count => count + 1), []);
  return { ...held, reload };
}

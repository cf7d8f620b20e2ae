/** A view whose code is fetched when it is first drawn. */

import { useEffect, useState, type ComponentType, type JSX } from 'react';
import { ErrorNote, Loading } from './state.tsx';

/** @param load - The same function at every drawing. */
export function Lazy({ load }: { load: () => Promise<ComponentType> }): JSX.Element {
  const [found, setFound] = useState<{ View: ComponentType } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let gone = false;
    load().then(
      View => !gone && setFound({ View }),
      (reason: unknown) => !gone && setError(reason)
    );
    return () => {
      gone = true;
    };
  }, [load, tries]);
  const retry = (): void => {
    setError(null);
    setTries(count => count + 1);
  };
  if (error) {
    return <ErrorNote error={error} retry={retry} />;
  }
  return found ? <found.View /> : <Loading retry={retry} />;
}

/** Doing something no more often than so. */

export interface Paced<A extends unknown[]> {
  (...args: A): void;
  /** Do now what waits. */
  flush: () => void;
  cancel: () => void;
}

/** At once, then at most every `ms`; the last call is never lost. */
export function paced<A extends unknown[]>(act: (...args: A) => void, ms: number): Paced<A> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting: A | null = null;
  const next = (): void => {
    timer = undefined;
    if (waiting) {
      const args = waiting;
      waiting = null;
      timer = setTimeout(next, ms);
      act(...args);
    }
  };
  const call = (...args: A): void => {
    waiting = args;
    if (timer === undefined) {
      next();
    }
  };
  const cancel = (): void => {
    clearTimeout(timer);
    timer = undefined;
    waiting = null;
  };
  return Object.assign(call, {
    cancel,
    flush: (): void => {
      clearTimeout(timer);
      next();
      clearTimeout(timer);
      timer = undefined;
    }
  });
}

/** When nothing was asked for `ms`. */
export function settled<A extends unknown[]>(act: (...args: A) => void, ms: number): Paced<A> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiting: A | null = null;
  const now = (): void => {
    clearTimeout(timer);
    const args = waiting;
    waiting = null;
    if (args) {
      act(...args);
    }
  };
  const call = (...args: A): void => {
    waiting = args;
    clearTimeout(timer);
    timer = setTimeout(now, ms);
  };
  return Object.assign(call, {
    flush: now,
    cancel: (): void => {
      clearTimeout(timer);
      waiting = null;
    }
  });
}

/** Tabs: arrow keys move between them, and only the chosen one is drawn. */

import { useId, useRef, type JSX, type KeyboardEvent, type ReactNode } from 'react';

export interface Tab {
  id: string;
  label: string;
  draw: () => ReactNode;
}

export function Tabs({
  label,
  tabs,
  chosen,
  choose
}: {
  label: string;
  tabs: readonly Tab[];
  chosen: string;
  choose: (id: string) => void;
}): JSX.Element {
  const own = useId();
  const bar = useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    tabs.findIndex(tab => tab.id === chosen)
  );
  const move = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = {
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      ArrowRight: (at + 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1
    };
    const to = steps[event.key];
    const tab = to === undefined ? undefined : tabs[to];
    if (to !== undefined && tab) {
      event.preventDefault();
      choose(tab.id);
      bar.current?.querySelectorAll<HTMLElement>('[role=tab]')[to]?.focus();
    }
  };
  return (
    <div className="nx-Tabs">
      <div role="tablist" aria-label={label} ref={bar} onKeyDown={move}>
        {tabs.map((tab, index) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${own}-${tab.id}`}
            aria-selected={index === at}
            aria-controls={`${own}-panel`}
            tabIndex={index === at ? 0 : -1}
            onClick={() => choose(tab.id)}
          >
            {tab.label}
          </button>
        ))}
      </div>
      <div
        role="tabpanel"
        id={`${own}-panel`}
        aria-labelledby={`${own}-${tabs[at]?.id ?? ''}`}
        tabIndex={0}
      >
        {tabs[at]?.draw()}
      </div>
    </div>
  );
}

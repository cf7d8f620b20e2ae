/** The layers one can add: found by a few letters, added by a click, by Enter, or by dragging. */

import { forwardRef, useMemo, useState, type JSX, type KeyboardEvent } from 'react';
import { rank } from '../state/search.ts';
import type { Layer } from '../wire.ts';
import type { Words } from '../words.ts';
import { DRAGGED } from './canvas.tsx';
import { useHere, useStore } from './here.ts';

/** What a group of layers is called. */
export function groupTitle(group: string, words: Words): string {
  const known: Partial<Record<string, string>> = {
    ends: words.__('Inputs and outputs'),
    dense: words.__('Dense'),
    convolution: words.__('Convolution'),
    pooling: words.__('Pooling'),
    normalisation: words.__('Normalisation'),
    activation: words.__('Activation'),
    regularisation: words.__('Regularisation'),
    recurrent: words.__('Recurrent'),
    attention: words.__('Attention'),
    embedding: words.__('Embedding'),
    shape: words.__('Shape'),
    join: words.__('Joining'),
    operation: words.__('Functions and tensors')
  };
  return known[group] ?? group;
}

export const Palette = forwardRef<HTMLInputElement, { onDone: () => void }>(function Palette(
  { onDone },
  search
): JSX.Element {
  const { session, words } = useHere();
  const layers = useStore(session.layers);
  const [query, setQuery] = useState('');
  const found = useMemo(() => rank([...(layers?.values() ?? [])], query), [layers, query]);
  const groups = useMemo(() => {
    const all = new Map<string, Layer[]>();
    for (const layer of found) {
      // While something is searched, the best comes first whatever it belongs to.
      const group = query.trim() ? '' : layer.group;
      all.set(group, [...(all.get(group) ?? []), layer]);
    }
    return [...all];
  }, [found, query]);

  const step = (event: KeyboardEvent<HTMLElement>): void => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      onDone();
      return;
    }
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (by === 0) {
      return;
    }
    const stops = [...event.currentTarget.querySelectorAll<HTMLElement>('input, [data-layer]')];
    const at = stops.indexOf(document.activeElement as HTMLElement);
    stops[Math.min(stops.length - 1, Math.max(0, at + by))]?.focus();
    event.preventDefault();
  };

  return (
    <section className="nx-GraphPalette" aria-label={words.__('Layers')} onKeyDown={step}>
      <input
        ref={search}
        type="search"
        value={query}
        placeholder={words.__('Search layers (A)')}
        aria-label={words.__('Search layers')}
        title={words.__('Enter adds the first; with Shift it is connected to the chosen layer.')}
        onChange={event => setQuery(event.target.value)}
        onKeyDown={event => {
          const best = found[0];
          if (event.key === 'Enter' && best && query.trim()) {
            event.preventDefault();
            session.add(best, null, event.shiftKey);
            setQuery('');
          }
        }}
      />
      <p className="nx-GraphHidden" role="status">
        {query.trim() ? words._n('%1 layer found', '%1 layers found', found.length) : ''}
      </p>
      <div className="nx-GraphPalette-list">
        {layers !== null && found.length === 0 && (
          <p>{words.__('No layer is called like “%1”.', query.trim())}</p>
        )}
        {groups.map(([group, list]) => (
          <div key={group} role="group" aria-label={group ? groupTitle(group, words) : words.__('Found')}>
            {group && <h3>{groupTitle(group, words)}</h3>}
            {list.map(layer => (
              <button
                key={layer.name}
                type="button"
                data-layer={layer.name}
                draggable
                title={layer.meaning}
                onDragStart={event => {
                  event.dataTransfer.setData(DRAGGED, layer.name);
                  event.dataTransfer.effectAllowed = 'copy';
                }}
                onClick={event => session.add(layer, null, event.shiftKey)}
              >
                {layer.title || layer.name}
              </button>
            ))}
          </div>
        ))}
      </div>
    </section>
  );
});

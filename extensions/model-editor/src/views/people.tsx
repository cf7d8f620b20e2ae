/** Who else is here; choosing somebody follows what they see. */

import type { JSX } from 'react';
import { painted, useHere, useStore } from './here.ts';

/** `AL` for Ada Lovelace. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  return letters.map(word => String.fromCodePoint(word.codePointAt(0)!).toUpperCase()).join('') || '?';
}

export function People(): JSX.Element | null {
  const { session, words } = useHere();
  const roster = useStore(session.roster);
  const following = useStore(session.following);
  if (roster.length === 0) {
    return null;
  }
  return (
    <div className="nx-GraphPeople" role="group" aria-label={words.__('Who else is here')}>
      {roster.map(({ client, name, color }) => {
        const follows = following === client;
        const told = follows
          ? words.__('Stop following %1', name)
          : words.__('Follow what %1 sees', name);
        return (
          <button
            key={client}
            type="button"
            style={painted(color)}
            aria-pressed={follows}
            aria-label={told}
            title={told}
            onClick={() => session.following.set(follows ? null : client)}
          >
            {initials(name)}
          </button>
        );
      })}
    </div>
  );
}

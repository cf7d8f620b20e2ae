/** How much of a file has been sent. */

import type { JSX } from 'react';
import { bytes } from './scale.ts';
import { css } from '../tokens.ts';
import { useWords } from './words.ts';

export function Sending({ file, sent }: { file: File; sent: number }): JSX.Element {
  const trans = useWords();
  return (
    <div aria-live="polite">
      <p>{trans.__('Sending %1: %2 of %3', file.name, bytes(sent), bytes(file.size))}</p>
      <progress
        className={css.progress}
        aria-label={trans.__('Sent')}
        max={Math.max(file.size, 1)}
        value={sent}
      />
    </div>
  );
}

/** The code that does the same as what the page did. */

import { useState, type JSX } from 'react';
import { css, time } from '../tokens.ts';
import { Button } from './form.tsx';
import { useWords } from './words.ts';

export function SameAs({ code }: { code: string }): JSX.Element {
  const trans = useWords();
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    void navigator.clipboard.writeText(code).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), time.copied);
    });
  };
  return (
    <details className={css.code}>
      <summary>{trans.__('Same as')}</summary>
      <pre tabIndex={0} aria-label={trans.__('Python code')}>
        <code>{code}</code>
      </pre>
      <Button onClick={copy}>{copied ? trans.__('Copied') : trans.__('Copy')}</Button>
    </details>
  );
}

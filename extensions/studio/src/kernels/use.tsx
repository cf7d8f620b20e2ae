/** What the kernel in front uses, in the status bar. */

import type { JSX } from 'react';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { type Use, fullness, mebibytes } from './state.ts';

/** From which share of its limit on a kernel is said to be nearly full. */
const NEARLY = 0.8;

export class KernelUse extends ReactWidget {
  private use: Use | null = null;

  constructor(private readonly trans: TranslationBundle) {
    super();
    this.addClass('nx-KernelUse');
  }

  /** Whether there is something to show. */
  get shows(): boolean {
    return this.use !== null;
  }

  set(use: Use | null): void {
    this.use = use;
    this.update();
  }

  protected override render(): JSX.Element | null {
    const { trans, use } = this;
    if (!use) {
      return null;
    }
    const memory = mebibytes(use.memory_bytes);
    const cpu = Math.round(use.cpu * 100);
    const full = fullness(use) >= NEARLY;
    const title = use.limit_bytes
      ? trans.__(
          'The kernel and what it started hold %1 MiB; one process may have %2 MiB. It uses %3 % of a processor.',
          memory,
          mebibytes(use.limit_bytes),
          cpu
        )
      : trans.__('The kernel and what it started hold %1 MiB. It uses %2 % of a processor.', memory, cpu);
    return (
      <span className="nx-KernelUse-text" data-full={full || undefined} title={title}>
        {full
          ? trans.__('Kernel %1 MiB, nearly full · %2 %', memory, cpu)
          : trans.__('Kernel %1 MiB · %2 %', memory, cpu)}
      </span>
    );
  }
}

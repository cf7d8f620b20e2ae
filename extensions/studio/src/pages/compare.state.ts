/** What the comparison page knows: which models were asked for, and who is best at what. */

import type { Comparison, Figure, Model } from '@nexus-workbench/contract';

/** The models named in a page's options, `mdl_a@0,mdl_b@1`, without doubles. */
export function asked(options: Record<string, string>, id: string): string[] {
  const names = `${id},${options.models ?? ''}`.split(',').map(name => name.trim());
  return [...new Set(names.filter(Boolean))];
}

/** With the model's mark set or taken away; order is the order of choosing. */
export function choose(chosen: string[], ref: string, on: boolean): string[] {
  return on ? [...new Set([...chosen, ref])] : chosen.filter(each => each !== ref);
}

/** Models whose answers mean the same: one target, one kind of task. */
export function alike(models: Model[], chosen: string[]): Set<string> {
  const first = models.find(model => chosen.includes(ref(model)));
  return new Set(
    models
      .filter(model => !first || (model.target === first.target && model.task === first.task))
      .map(ref)
  );
}

/** `mdl_…@1` */
export function ref(model: { id: string; version: number }): string {
  return `${model.id}@${model.version}`;
}

/** The paired difference says something: its interval lies on one side of zero. */
export function decided(figure: Figure | null | undefined): boolean {
  return !!figure && (figure.low > 0 || figure.high < 0);
}

/** One metric as whiskers: a name and a figure for every model that has one. */
export function whiskers(
  comparison: Comparison,
  metric: string
): { name: string; figure: Figure }[] {
  const figures = comparison.metrics[metric] ?? [];
  return comparison.names.flatMap((name, index) => {
    const figure = figures[index];
    return figure ? [{ name, figure }] : [];
  });
}

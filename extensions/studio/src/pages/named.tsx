/** Links to a product and a model that say their name once it is known. */

import type { JSX } from 'react';
import type { StudioContext } from '../context.ts';
import { Button, useLoad } from '../parts/index.ts';

interface LinkProps {
  studio: StudioContext;
  /** `prd_…@0` or `mdl_…@0` */
  to: string;
}

export function ProductLink({ studio, to }: LinkProps): JSX.Element {
  const { client, trans } = studio;
  const { data } = useLoad(
    signal => client.get('/api/v1/data/products/{id}', { path: { id: to }, signal }),
    [client, to]
  );
  return (
    <Button kind="link" title={to} onClick={() => studio.open('product', to)}>
      {data ? trans.__('%1 version %2', data.name, data.version) : to}
    </Button>
  );
}

export function ModelLink({ studio, to }: LinkProps): JSX.Element {
  const name = useModelName(studio, to);
  return (
    <Button kind="link" title={to} onClick={() => studio.open('model', to)}>
      {name || to}
    </Button>
  );
}

/** `loans version 2`; empty until it is known. */
export function useModelName({ client, trans }: StudioContext, id: string): string {
  const { data } = useLoad(
    async signal =>
      id === '' ? null : client.get('/api/v1/models/models/{id}', { path: { id }, signal }),
    [client, id]
  );
  return data ? trans.__('%1 version %2', data.name, data.version) : '';
}

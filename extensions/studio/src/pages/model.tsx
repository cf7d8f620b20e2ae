import type { JSX } from 'react';
import type { PageProps } from '../context.ts';
import { Loading } from '../parts/index.ts';

export default function Page({ id }: PageProps): JSX.Element {
  return <Loading what={id} />;
}

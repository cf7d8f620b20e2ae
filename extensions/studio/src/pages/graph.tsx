/** A model's graph, which the people of the project change together. */

import '@nexus-workbench/model-editor/style/editor.css';

import { useMemo, type JSX } from 'react';
import { GraphEditor, type EditorClient } from '@nexus-workbench/model-editor';
import type { PageProps } from '../context.ts';

export default function Graph({ studio, id, setTitle }: PageProps): JSX.Element {
  const { client, trans } = studio;
  const asked = useMemo(
    (): EditorClient => ({
      layers: async signal => (await client.get('/api/v1/models/layers', { signal })).items,
      prepare: () => client.session()
    }),
    [client]
  );
  return (
    <div className="nx-GraphPage">
      <GraphEditor
        client={asked}
        base={client.base}
        project={studio.project()?.id ?? client.project}
        id={id}
        trans={trans}
        mayWrite={studio.role() !== 'viewer'}
        onTitle={setTitle}
      />
    </div>
  );
}

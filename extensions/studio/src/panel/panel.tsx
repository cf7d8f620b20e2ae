/** The Studio's side panel. */

import { graphIcon } from '../icon.ts';
import type { Studio } from '../studio.ts';
import { SidePanel } from './side.tsx';

export class StudioPanel extends SidePanel {
  constructor(studio: Studio) {
    super(studio, studio.trans.__('NexusAI Studio'), graphIcon, async () => {
      const [{ default: View }] = await Promise.all([import('./view.tsx'), import('../looks.ts')]);
      return () => <View studio={studio} />;
    });
  }
}

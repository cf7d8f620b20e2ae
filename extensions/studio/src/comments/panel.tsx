/** The panel of comments; a dot on its tab says that somebody mentions you. */

import { commentIcon } from '../icon.ts';
import { SidePanel } from '../panel/side.tsx';
import type { Comments } from './model.ts';

export class CommentsPanel extends SidePanel {
  constructor(comments: Comments) {
    const { studio } = comments;
    const { trans } = studio;
    super(studio, trans.__('Comments'), commentIcon, async () => {
      const [{ default: View }] = await Promise.all([import('./view.tsx'), import('../looks.ts')]);
      return () => <View comments={comments} />;
    });
    this.addClass('nx-Comments');
    comments.changed.connect(() => {
      const count = comments.mentions.length;
      this.title.className = count > 0 ? 'nx-mod-unread' : '';
      this.title.caption =
        count > 0
          ? trans._n('Comments: %1 mentions you', 'Comments: %1 mention you', count)
          : trans.__('Comments');
    });
  }
}

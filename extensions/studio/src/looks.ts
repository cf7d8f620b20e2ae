/** The looks of the panel and the pages, fetched with the first of them. */

import '../style/base.css';
import '../style/panel.css';
import '../style/pages.css';
import '../style/comments.css';

import { LabIcon } from '@jupyterlab/ui-components';

/** Three nodes of a graph. `jp-icon3` takes the colour of the theme. */
export const graphIcon = new LabIcon({
  name: '@nexus-workbench/studio:graph',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M7.2 8.1 15.3 11.3 15.3 12.7 7.2 15.9 6.5 14.6 12.9 12 6.5 9.4z"/>
    <circle cx="5.5" cy="6.5" r="3.5"/>
    <circle cx="5.5" cy="17.5" r="3.5"/>
    <circle cx="18" cy="12" r="4"/>
  </g>
</svg>`
});

/** A speech bubble with two lines. */
export const commentIcon = new LabIcon({
  name: '@nexus-workbench/studio:comment',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-8.6L7 22.2V18H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm0 2v11h5v1.9l1.9-1.9H20V5zm3 2.5h10v1.6H7zm0 4h7v1.6H7z"/>
</svg>`
});

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

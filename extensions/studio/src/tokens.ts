/** The one place for sizes, colours and class names. Colours are JupyterLab's variables only. */

/** In CSS pixels unless told. */
export const size = {
  gap: 8,
  panel: 260,
  chart: { width: 480, height: 200, left: 56, right: 12, top: 10, bottom: 30 },
  bar: { height: 120, minimum: 2 },
  whisker: { row: 30, label: 150, dot: 4 }
} as const;

/** In milliseconds. */
export const time = {
  long: 15_000,
  settle: 150,
  poll: 10_000,
  look: 3_000,
  copied: 1_500
} as const;

export const colour = {
  brand: 'var(--jp-brand-color1)',
  text: 'var(--jp-ui-font-color1)',
  quiet: 'var(--jp-ui-font-color2)',
  line: 'var(--jp-border-color1)',
  ground: 'var(--jp-layout-color1)',
  good: 'var(--jp-success-color1)',
  warn: 'var(--jp-warn-color1)',
  bad: 'var(--jp-error-color1)',
  /** For the series of a chart, in order. */
  series: [
    'var(--jp-brand-color1)',
    'var(--jp-warn-color1)',
    'var(--jp-success-color1)',
    'var(--jp-info-color1)',
    'var(--jp-error-color1)',
    'var(--jp-accent-color1)'
  ]
} as const;

/** Class names; style/base.css describes each. */
export const css = {
  page: 'nx-Page',
  head: 'nx-Head',
  title: 'nx-Title',
  lead: 'nx-Lead',
  section: 'nx-Section',
  row: 'nx-Row',
  stack: 'nx-Stack',
  grid: 'nx-Grid',
  card: 'nx-Card',
  quiet: 'nx-Quiet',
  mono: 'nx-Mono',
  number: 'nx-Number',
  button: 'nx-Button',
  primary: 'nx-mod-primary',
  danger: 'nx-mod-danger',
  link: 'nx-Link',
  field: 'nx-Field',
  hint: 'nx-Hint',
  input: 'nx-Input',
  table: 'nx-Table',
  scroll: 'nx-Scroll',
  badge: 'nx-Badge',
  note: 'nx-Note',
  error: 'nx-Error',
  empty: 'nx-Empty',
  loading: 'nx-Loading',
  code: 'nx-Code',
  chart: 'nx-Chart',
  legend: 'nx-Legend',
  facts: 'nx-Facts',
  progress: 'nx-Progress',
  log: 'nx-Log',
  panel: 'nx-Panel',
  drop: 'nx-mod-drop',
  list: 'nx-List',
  item: 'nx-Item'
} as const;

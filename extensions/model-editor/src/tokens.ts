/** The one place for sizes and times of the editor; its colours are JupyterLab's variables. */

/** In CSS pixels. */
export const size = {
  node: { width: 208, height: 68, port: 48 },
  fold: { width: 208, height: 60 },
  frame: { pad: 20, head: 30 },
  gap: { x: 56, y: 36 },
  step: 10,
  paste: 32,
  grid: 4
} as const;

/** In milliseconds. */
export const time = {
  retry: { first: 300, most: 10_000 },
  /** How long a window that was closed waits until its changes are safe. */
  linger: 20_000,
  share: 50,
  type: 400,
  told: 6_000,
  glide: 200,
  code: 400
} as const;

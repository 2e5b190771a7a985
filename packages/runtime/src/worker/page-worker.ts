/** Starts the Worker of this package in a page. The built package holds its script as a text: see `build-worker.mjs`. */
export const pageWorker = (): Worker =>
  new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })

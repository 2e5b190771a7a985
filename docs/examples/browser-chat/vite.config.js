// Cross-origin isolated pages may share memory between threads; without these headers one thread runs.
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

export default {
  base: './',
  server: { headers },
  preview: { headers },
}

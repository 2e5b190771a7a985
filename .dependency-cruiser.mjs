// The arrows that imports may follow: ARCHITECTURE.md shows them as a picture, `npm test` holds them.

/** What each package may import besides itself. */
const below = {
  'tensor-io': [],
  kernels: ['tensor-io'],
  transformer: ['kernels', 'tensor-io'],
  runtime: ['kernels', 'tensor-io'],
  serve: ['runtime', 'kernels', 'tensor-io'],
  vq: ['kernels', 'tensor-io'],
  lowrank: ['kernels', 'tensor-io'],
  autoencoder: ['transformer', 'kernels', 'tensor-io'],
  finetune: ['transformer', 'kernels', 'tensor-io'],
  eval: ['transformer', 'runtime', 'kernels', 'tensor-io'],
  pipeline: [
    'vq',
    'autoencoder',
    'lowrank',
    'finetune',
    'eval',
    'transformer',
    'runtime',
    'kernels',
    'tensor-io',
  ],
  testing: ['kernels', 'tensor-io'],
}

/** What tests, and files that only tests use, are called. */
const tests = String.raw`\.test\.ts$|^packages/[^/]+/test/|^packages/testing/`
const any = names => `(${names.join('|')})`

/** testing is made of kernels and tensor-io: tests of these two do without it. */
const mayTest = name => !['tensor-io', 'kernels'].includes(name)

const arrows = Object.entries(below).map(([name, allowed]) => ({
  name: `${name}-imports-what-is-below`,
  severity: 'error',
  comment: `${name} imports ${allowed.join(', ') || 'no other package'}${mayTest(name) ? '; its tests testing too' : ''}`,
  from: { path: `^packages/${name}/` },
  to: {
    path: '^packages/|^docs/|^tools/',
    pathNot: `^packages/${any([name, ...allowed, ...(mayTest(name) ? ['testing'] : [])])}/`,
  },
}))

const floors = ['core', 'codec', 'formats', 'models']
const storeys = floors.map((floor, i) => ({
  name: `tensor-io-${floor}-imports-floors-below`,
  severity: 'error',
  comment: `core → codec → formats → models: ${floor} imports ${floors.slice(0, i + 1).join(', ')}`,
  from: { path: `^packages/tensor-io/src/${floor}/`, pathNot: tests },
  to: {
    path: '^packages/tensor-io/',
    pathNot: `^packages/tensor-io/src/${any(floors.slice(0, i + 1))}/`,
  },
}))

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      comment:
        'a file that imports itself in a circle can be read, tested and moved only with the whole circle',
      from: {},
      to: { circular: true },
    },
    ...arrows,
    ...storeys,
    {
      name: 'not-to-the-umbrella',
      severity: 'error',
      comment: 'reallm is the top: only docs and tools import it',
      from: { path: '^packages/', pathNot: '^packages/reallm/' },
      to: { path: '^packages/reallm/' },
    },
    {
      name: 'through-the-exports',
      severity: 'error',
      comment: 'a package sees of another what its package.json exports',
      from: {
        path: '^packages/([^/]+)/',
        pathNot: String.raw`^packages/reallm/src/runtime-linear\.test\.ts$`,
      },
      to: { path: '^packages/', pathNot: '^packages/$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'declared-in-package-json',
      severity: 'error',
      comment: 'what cannot be resolved from where it is imported is missing in that package.json',
      from: { path: '^packages/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'no-tests-in-what-ships',
      severity: 'error',
      comment: 'what users install imports no tests and nothing that only tests use',
      from: { path: '^packages/', pathNot: tests },
      to: { path: tests },
    },
    {
      name: 'tfjs-behind-one-module',
      severity: 'error',
      comment: 'everything else takes TensorFlow.js from @reallm/transformer',
      from: { path: '^packages/', pathNot: ['^packages/transformer/src/(tf|tfjs/gradients)\\.ts$', tests] },
      to: { path: 'node_modules/@tensorflow/', dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '/dist/'] },
    exclude: {
      path: [
        '^packages/[^/]+/dist/',
        '^packages/kernels/assembly/',
        '^docs/examples/',
        '^docs/.vitepress/.temp/',
        '/tmp/',
      ],
    },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@reallm/source', 'node', 'import', 'default', 'types'],
    },
  },
}

// Speed of every kernel per CPU-second:
// `npx tsx --conditions=@reallm/source tools/bench/kernels.ts [name …] [onnxruntime=FOLDER] [--record]`.
// Builds that this JavaScript engine cannot run and libraries that are not installed are left out. onnxruntime-node is
// looked up in the named folder's node_modules.
import { createRequire } from 'node:module'
import { dirname, join, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  beamSearch,
  cholesky,
  chooseBuild,
  dampedFactor,
  eigh,
  fitScales,
  gram,
  hadamard,
  type KernelBuild,
  matmul,
  nearestCentroid,
  registerTfjs,
  type TfLibrary,
  trellisTable,
  viterbi,
} from '../../packages/kernels/src/index.ts'
import { type Matrix, matrix, random, zeroMatrix } from '../../packages/tensor-io/src/index.ts'
import { packages, startBench } from '../results/record.ts'

interface Kernel {
  readonly name: string
  readonly unit: 'GFLOPS' | 'µs/weight' | 'ms'
  /** Floating-point operations in 10⁹, weights in 10⁶, or 0.001, so that amount and seconds make the unit. */
  readonly amount: number
  run(): void
  /** Too slow in plain TypeScript to wait for. */
  readonly slow?: boolean
}

const { normal } = random(1)
const randomMatrix = (rows: number, cols: number): Matrix => {
  const m = zeroMatrix(rows, cols)
  for (let i = 0; i < m.data.length; i++) m.data[i] = normal()
  return m
}

function products(): Kernel[] {
  const [a, b] = [randomMatrix(1024, 1024), randomMatrix(1024, 1024)]
  const out = zeroMatrix(1024, 1024)
  return [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ].map(([transposeA, transposeB]) => ({
    name: `matmul 1024 ${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`,
    unit: 'GFLOPS',
    amount: (2 * 1024 ** 3) / 1e9,
    run: () => matmul(a, b, { transposeA, transposeB, out }),
  }))
}

function algebra(): Kernel[] {
  const x = randomMatrix(1024, 576)
  const h = gram(randomMatrix(2000, 576))
  const [points, centroids] = [randomMatrix(50_000, 4), randomMatrix(256, 4)]
  const w = randomMatrix(1024, 576)
  const books = { vectors: randomMatrix(3 * 256, 8), count: 3, size: 256 }
  const targets = randomMatrix(512, 8)
  const ones = matrix(new Float32Array(64).fill(1), [1, 64])
  const grid = (bits: number) => Float32Array.from({ length: 2 ** bits }, (_, i) => i)
  const n = 576
  return [
    { name: 'gram [1024, 576]', unit: 'GFLOPS', amount: (1024 * n * n) / 1e9, run: () => gram(x) },
    { name: 'cholesky 576', unit: 'GFLOPS', amount: n ** 3 / 3e9, run: () => cholesky(h) },
    { name: 'dampedFactor 576', unit: 'ms', amount: 0.001, run: () => dampedFactor(h) },
    { name: 'eigh 576', unit: 'ms', amount: 0.001, run: () => eigh(h) },
    { name: 'hadamard [1024, 576]', unit: 'ms', amount: 0.001, run: () => hadamard(w) },
    {
      name: 'nearestCentroid 256 of 4',
      unit: 'GFLOPS',
      amount: (50_000 * 256 * 4 * 3) / 1e9,
      run: () => nearestCentroid(points, centroids),
    },
    {
      name: 'beamSearch of 4, 3 × 256 of 8',
      unit: 'µs/weight',
      amount: targets.data.length / 1e6,
      run: () => beamSearch(books, 4)(targets),
    },
    ...[3, 8].map(bits => ({
      name: `fitScales ${bits} bits, groups of 64`,
      unit: 'µs/weight' as const,
      amount: w.data.length / 1e6,
      run: () => fitScales({ rows: 9216, cols: 64, data: w.data }, ones, grid(bits), { zeroPoint: true }),
    })),
  ]
}

function searches(): Kernel[] {
  return [8, 10, 12, 14].flatMap(stateBits =>
    [1, 2, 3, 4].flatMap(bits => {
      const tiles = stateBits > 10 ? 16 : 64
      const values = randomMatrix(tiles, 256).data
      const lut = trellisTable(stateBits, bits)
      return [true, false].map(tailBiting => ({
        name: `viterbi L=${stateBits} k=${bits}${tailBiting ? ' tail-biting' : ''}`,
        unit: 'µs/weight' as const,
        amount: values.length / 1e6,
        run: () => viterbi(values, { bits, lut, tailBiting }),
        slow: stateBits > 10,
      }))
    }),
  )
}

/** Least CPU seconds of several runs. */
async function seconds(run: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  const stop = performance.now() + 1500
  for (let i = 0; i < 2 || (i < 10 && performance.now() < stop); i++) {
    const before = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1e6)
  }
  return least
}

const figure = ({ unit, amount }: Kernel, s: number): number =>
  Number((unit === 'GFLOPS' ? amount / s : unit === 'ms' ? s * 1000 : s / amount).toPrecision(3))

const figureUnit = { unit: 'as the row says' }

async function main(args: readonly string[]): Promise<void> {
  const finish = startBench({
    name: 'kernels',
    what: 'Speed of each kernel per CPU-second, one thread: its reference implementation, its SIMD builds, and other libraries.',
    sources: packages('kernels'),
    columns: {
      kernel: { label: 'kernel' },
      unit: { label: 'unit' },
      reference: { label: 'TypeScript', ...figureUnit },
      plain: { label: 'plain SIMD', ...figureUnit },
      relaxed: { label: 'relaxed SIMD', ...figureUnit },
      tfjs: { label: 'tfjs wasm', ...figureUnit },
      registered: { label: 'tfjs wasm, registered', ...figureUnit },
      onnxruntime: { label: 'onnxruntime-node', ...figureUnit },
    },
    key: ['kernel'],
    seed: 1,
  })
  const wanted = args.filter(arg => !arg.startsWith('onnxruntime='))
  const onnx = args.find(arg => arg.startsWith('onnxruntime='))?.slice('onnxruntime='.length)
  const rows = [...products(), ...algebra(), ...searches()].filter(
    row => wanted.length === 0 || wanted.some(name => row.name.includes(name)),
  )
  const table = new Map<Kernel, Record<string, string | number>>(
    rows.map(row => [row, { kernel: row.name, unit: row.unit }]),
  )
  for (const build of ['reference', 'plain', 'relaxed'] as const satisfies readonly KernelBuild[]) {
    try {
      chooseBuild(build)
    } catch {
      continue
    }
    for (const row of rows) {
      if (build !== 'reference' || !row.slow) table.get(row)![build] = figure(row, await seconds(row.run))
    }
  }
  chooseBuild()
  await addTfjs(table)
  await addOnnx(table, onnx)
  finish([...table.values()])
}

/** The products on tfjs's wasm backend, before and after `registerTfjs`. */
async function addTfjs(table: ReadonlyMap<Kernel, Record<string, string | number>>): Promise<void> {
  const rows = [...table.keys()].filter(row => row.name.startsWith('matmul'))
  if (rows.length === 0) return
  const here = dirname(fileURLToPath(import.meta.url))
  const require = createRequire(join(here, '../../packages/kernels/package.json'))
  const tf = require('@tensorflow/tfjs') as Tfjs
  const wasm = require('@tensorflow/tfjs-backend-wasm') as { setWasmPaths(folder: string): void }
  wasm.setWasmPaths(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + sep)
  tf.env().set('PROD', true)
  await tf.setBackend('wasm')
  const [a, b] = [tf.randomNormal([1024, 1024]), tf.randomNormal([1024, 1024])]
  for (const column of ['tfjs', 'registered']) {
    for (const row of rows) {
      const [ta, tb] = [row.name.at(-2) === 'T', row.name.at(-1) === 'T']
      table.get(row)![column] = figure(
        row,
        await seconds(() => tf.tidy(() => void tf.matMul(a, b, ta, tb).dataSync())),
      )
    }
    registerTfjs(tf)
  }
}

async function addOnnx(
  table: ReadonlyMap<Kernel, Record<string, string | number>>,
  folder: string | undefined,
): Promise<void> {
  const row = [...table.keys()].find(r => r.name === 'matmul 1024 NN')
  if (!row || folder === undefined) return
  let ort: Onnx
  try {
    const from = join(resolve(folder), 'package.json')
    const { href } = pathToFileURL(createRequire(from).resolve('onnxruntime-node'))
    const loaded = (await import(href)) as Onnx & { default?: Onnx }
    ort = loaded.default ?? loaded
  } catch {
    return
  }
  const session = await ort.InferenceSession.create(matmulModel(), { intraOpNumThreads: 1 })
  const operand = () => new ort.Tensor('float32', randomMatrix(1024, 1024).data, [1024, 1024])
  const feeds = { a: operand(), b: operand() }
  table.get(row)!.onnxruntime = figure(row, await seconds(() => session.run(feeds)))
}

interface Tfjs extends TfLibrary {
  env(): { set(flag: string, value: boolean): void }
  setBackend(name: string): Promise<boolean>
  randomNormal(shape: number[]): object
  matMul(a: object, b: object, transposeA: boolean, transposeB: boolean): { dataSync(): Float32Array }
  tidy(work: () => void): void
}

interface Onnx {
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<{ run(feeds: object): Promise<object> }>
  }
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: number[]) => object
}

/** An ONNX model of one node, `y = MatMul(a, b)`, in protobuf by hand. */
function matmulModel(): Uint8Array {
  const text = (s: string) => [...new TextEncoder().encode(s)]
  const field = (number: number, bytes: number[]) => [(number << 3) | 2, ...varint(bytes.length), ...bytes]
  const integer = (number: number, value: number) => [number << 3, ...varint(value)]
  const dimension = field(1, integer(1, 1024))
  const type = field(1, [...integer(1, 1), ...field(2, [...dimension, ...dimension])])
  const value = (name: string) => [...field(1, text(name)), ...field(2, type)]
  const node = [
    ...field(1, text('a')),
    ...field(1, text('b')),
    ...field(2, text('y')),
    ...field(4, text('MatMul')),
  ]
  const graph = [
    ...field(1, node),
    ...field(2, text('g')),
    ...field(11, value('a')),
    ...field(11, value('b')),
    ...field(12, value('y')),
  ]
  return Uint8Array.from([...integer(1, 8), ...field(7, graph), ...field(8, integer(2, 13))])
}

function varint(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]
}

await main(process.argv.slice(2))

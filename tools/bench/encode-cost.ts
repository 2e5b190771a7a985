/**
 * What encoding costs as models grow: the matrices of a block of SmolLM2-135M, of a 1B and of a 7B model, with synthetic
 * weights and second moments, through the default recipe (rotation, two-sided feedback, trellis). Processor
 * microseconds per weight should stay level.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/encode-cost.ts [bits=2] [stateBits=12] [sizes=135M,1B,7B] [--record]
 *
 * One thread. Only `q_proj`, `up_proj` and `down_proj` are encoded: the others of a block have the same shapes or smaller
 * ones. Of matrices over 2²⁴ weights the first rows that make up that many.
 */
import { type Matrix, random, zeroMatrix } from '../../packages/tensor-io/src/index.ts'
import { rotated, trellis, withFeedback } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const [bits = '2', stateBits = '12', wanted = '135M,1B,7B'] = process.argv.slice(2)
const codec = rotated(withFeedback(trellis))
const params = { inner: { bits: Number(bits), stateBits: Number(stateBits) } }
const most = 2 ** 24

/** Hidden and inner width. */
const sizes: Record<string, [number, number]> = {
  '135M': [576, 1536],
  '1B': [2048, 8192],
  '7B': [4096, 11008],
}

const finish = startBench({
  name: 'encode-cost',
  what: `Time to encode matrices of a block as models grow: trellis of ${bits} bits (L = ${stateBits}), rotation, two-sided error feedback.`,
  sources: packages('tensor-io', 'kernels', 'vq'),
  columns: {
    model: { label: 'model' },
    matrix: { label: 'matrix' },
    rows: { label: 'rows encoded', unit: 'rows' },
    cpuSeconds: { label: 'CPU s', unit: 's', digits: 1 },
    perWeight: { label: 'CPU µs/weight', unit: 'µs per weight', digits: 2 },
    peakMemory: { label: 'peak so far, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['model', 'matrix'],
  seed: 1,
})
const table = []
for (const size of wanted.split(',')) {
  const [hidden, inner] = sizes[size]
  const shapes = { q_proj: [hidden, hidden], up_proj: [inner, hidden], down_proj: [hidden, inner] }
  for (const [kind, [out, width]] of Object.entries(shapes)) {
    const rows = Math.min(out, 16 * Math.floor(most / width / 16))
    const w = normals(rows, width, 1)
    const moments = { hessian: secondMoment(width, 2), outputHessian: secondMoment(rows, 3) }
    const started = process.cpuUsage()
    await codec.encode(w, params, { seed: 1, ...moments })
    const { user, system } = process.cpuUsage(started)
    table.push({
      model: size,
      matrix: `${kind} ${out}×${width}`,
      rows,
      cpuSeconds: (user + system) / 1e6,
      perWeight: (user + system) / (rows * width),
      peakMemory: 1024 * process.resourceUsage().maxRSS,
    })
    process.stderr.write(`${size} ${kind} done\n`)
  }
}
finish(table)

function normals(rows: number, cols: number, seed: number): Matrix {
  const { normal } = random(seed)
  const m = zeroMatrix(rows, cols)
  for (let i = 0; i < m.data.length; i++) m.data[i] = normal()
  return m
}

/** A decaying spectrum with correlated neighbours, positive definite: `0.9^|i−j| · √(dᵢ dⱼ)`, some directions large. */
function secondMoment(n: number, seed: number): Matrix {
  const { normal } = random(seed)
  const scale = Float32Array.from({ length: n }, () => Math.exp(normal()))
  const m = zeroMatrix(n, n)
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) m.data[i * n + j] = 0.9 ** Math.abs(i - j) * scale[i] * scale[j]
  return m
}

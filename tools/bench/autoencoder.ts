/**
 * Rate against error of neural decoders and of every other kind of codec, on structured, near-Gaussian and real matrices;
 * every stored bit counted, φ's too. Prints a table and writes `results.json`, `plot-<matrix>.svg` and, of decoders that
 * were trained, `loss-<matrix>-<rate>.svg`; what is in `results.json` is not measured again.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/autoencoder.ts <out> [--smollm FILE.gguf] [--only NAME] [--steps 16] [--record]
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { autoencoder, searchShape } from '../../packages/autoencoder/src/index.ts'
import { lowrank, plusLowRank } from '../../packages/lowrank/src/index.ts'
import { svgPlot } from '../../packages/pipeline/src/output/svg-plot.ts'
import { relativeError } from '../../packages/tensor-io/src/codec/conformance/index.ts'
import {
  bitsPerWeight,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  type ProgressEvent,
} from '../../packages/tensor-io/src/index.ts'
import { useBackend } from '../../packages/transformer/src/index.ts'
import { e8, kmeans, rotated, trellis } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import { studyMatrices } from './autoencoder/matrices.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    smollm: { type: 'string' },
    only: { type: 'string', default: '' },
    steps: { type: 'string', default: '16' },
  },
})
const [out] = positionals
if (!out) throw new Error('usage: autoencoder.ts <out> [--smollm FILE.gguf] [--only NAME] [--steps N]')

const SEED = 1
const sources = packages('tensor-io', 'kernels', 'vq', 'lowrank', 'autoencoder')
const finish = startBench({
  name: 'autoencoder',
  what: 'Rate against error of neural decoders and of the best other codec at the same rate, without calibration; every stored bit counted.',
  sources: [...sources, 'tools/bench/autoencoder'],
  columns: {
    matrix: { label: 'matrix' },
    kind: { label: 'kind' },
    what: { label: 'what' },
    bits: { label: 'bpw', unit: 'bits per weight', digits: 3 },
    db: { label: 'dB', unit: 'dB', digits: 2 },
    best: { label: 'best other at this rate, dB', unit: 'dB', digits: 2 },
    gain: { label: 'gain, dB', unit: 'dB', digits: 2 },
    other: { label: 'the other' },
  },
  key: ['matrix', 'what'],
  seed: SEED,
})
const finishValues = startBench({
  name: 'trellis-values',
  what: 'The values of trellis states (2 bits, L = 10), from a fixed table and from a network; plain error, every stored bit counted.',
  sources: [...sources, 'tools/bench/autoencoder'],
  columns: {
    matrix: { label: 'matrix' },
    table: { label: 'fixed table, dB', unit: 'dB', digits: 2 },
    tableBits: { label: 'bpw', unit: 'bits per weight', digits: 3 },
    network: { label: 'network, dB', unit: 'dB', digits: 2 },
    networkBits: { label: 'bpw', unit: 'bits per weight', digits: 3 },
  },
  key: ['matrix'],
  seed: SEED,
})
/** Rates of the autoencoder and of low rank. */
const RATES = [0.25, 0.5, 1, 1.5, 2]

interface Point {
  readonly matrix: string
  readonly family: string
  readonly what: string
  readonly bits: number
  /** Signal to noise, dB. */
  readonly db: number
  readonly cpuSeconds: number
}

await mkdir(out, { recursive: true })
const file = join(out, 'results.json')
const points: Point[] = JSON.parse(await readFile(file, 'utf8').catch(() => '[]'))
const ctx = { seed: SEED }
await useBackend()

for (const { name, load } of studyMatrices(values.smollm, 'packages/tiny/model')) {
  if (!name.includes(values.only)) continue
  let w: Matrix | undefined
  const measure = async (
    family: string,
    what: string,
    run: (w: Matrix) => Promise<{ encoded: EncodedMatrix; decoded: Matrix }>,
  ) => {
    if (points.some(p => p.matrix === name && p.what === what)) return
    w ??= await load()
    const started = process.cpuUsage()
    const { encoded, decoded } = await run(w)
    const { user, system } = process.cpuUsage(started)
    const point: Point = {
      matrix: name,
      family,
      what,
      bits: Number(bitsPerWeight(encoded).toFixed(4)),
      db: Number((-10 * Math.log10(relativeError(w, decoded))).toFixed(2)),
      cpuSeconds: Number(((user + system) / 1e6).toFixed(1)),
    }
    points.push(point)
    await writeFile(file, `${JSON.stringify(points, null, 1)}\n`)
    console.error(Object.values(point).join(' · '))
  }
  const codec = <P>(family: string, what: string, method: MatrixCodec<P>, params: P) =>
    measure(family, what, async w => {
      const encoded = (await method.encode(w, params, ctx)) as EncodedMatrix
      return { encoded, decoded: method.decode(encoded) }
    })

  for (const bits of [1, 2]) {
    for (const values of ['gauss', 'network'] as const) {
      const family = values === 'network' ? 'neural trellis' : 'trellis'
      const params = { bits, stateBits: 10, values }
      await codec(family, `${values} trellis ${bits} bits`, trellis, { ...params, scale: 'row' })
      if (bits === 2)
        await codec(family, `rotated ${values} trellis 2 bits`, rotated(trellis), { inner: params })
    }
    await codec(
      'low rank + trellis',
      `rank 8 + trellis ${bits} bits`,
      plusLowRank({ rank: 8, bits: 8, rounds: 1 }, trellis),
      {
        inner: { bits, stateBits: 10 },
      },
    )
  }
  for (const bits of [1, 1.5, 2]) await codec('VQ', `k-means of 4, ${bits} bits`, kmeans, { bits, dim: 4 })
  for (const scale of ['matrix', 'row'] as const)
    await codec('trellis', `gauss trellis 1.5 bits by ${scale}`, trellis, { bits: 1.5, stateBits: 10, scale })
  await codec('E8', 'E8 2 bits', e8, { bits: 2 })
  const { rows, cols } = (w ??= await load())
  for (const rate of RATES) {
    for (const bits of [4, 6, 8]) {
      const rank = Math.floor((rate * rows * cols) / ((rows + cols) * bits))
      if (rank < 1 || rank > Math.min(rows, cols)) continue
      await codec('low rank', `rank ${rank} of ${bits} bits`, lowrank, { rank, bits })
    }
    await measure('autoencoder', `autoencoder ${rate}`, async w => {
      const trainings: number[][] = []
      const onProgress = ({ event, done, error }: ProgressEvent) => {
        if (event !== 'step-end') return
        if (done === 1) trainings.push([])
        trainings.at(-1)!.push(error!)
      }
      const steps = Number(values.steps)
      const { encoded, params } = await searchShape(w, rate, { patch: 64, steps }, { ...ctx, onProgress })
      await writeLosses(`${name} ${rate}`, trainings)
      const { stages, latentWidth, latentBits, decoderWidth, weightBits, scaling, steps: trained } = params
      console.error(
        JSON.stringify({ stages, latentWidth, latentBits, decoderWidth, weightBits, scaling, trained }),
      )
      return { encoded, decoded: autoencoder.decode(encoded) }
    }).catch(error => console.error(`${name}, autoencoder ${rate}: ${error.message}`))
  }
}

/** The losses of every training of one search. */
async function writeLosses(name: string, trainings: readonly (readonly number[])[]): Promise<void> {
  const series = trainings.map((losses, i) => ({
    name: `training ${i + 1}`,
    points: losses.map((y, step) => ({ x: step + 1, y, title: `step ${step + 1}: ${y.toPrecision(3)}` })),
    line: true,
  }))
  const svg = svgPlot(series, { title: name, x: 'step', y: 'squared error relative to the energy' })
  if (svg) await writeFile(join(out, `loss-${name.replaceAll(/[^\w]+/g, '-')}.svg`), svg)
}

/** What the others reach at a rate: their upper convex hull from (0 bits, 0 dB) on, which favours them. */
function hullAt(others: readonly Point[], bits: number): { db: number; what: string } {
  const known = [{ bits: 0, db: 0, what: 'nothing' }, ...others].sort((a, b) => a.bits - b.bits)
  let best = { db: Number.NEGATIVE_INFINITY, what: '' }
  for (const a of known) {
    for (const b of known) {
      if (a.bits > bits || b.bits < bits) continue
      const share = b.bits === a.bits ? 1 : (bits - a.bits) / (b.bits - a.bits)
      const db = a.db + share * (b.db - a.db)
      if (db > best.db) best = { db, what: a === b || share === 1 ? b.what : `${a.what} … ${b.what}` }
    }
    if (a.bits <= bits && a.db > best.db) best = a
  }
  return best
}

const rows = []
for (const { name, kind } of studyMatrices(values.smollm, 'packages/tiny/model')) {
  const own = points.filter(p => p.matrix === name)
  for (const family of ['autoencoder', 'neural trellis']) {
    const others = own.filter(
      p => p.family !== family && p.family !== 'autoencoder' && p.family !== 'neural trellis',
    )
    for (const p of own.filter(q => q.family === family)) {
      const best = hullAt(others, p.bits)
      rows.push({
        ...{ matrix: name, kind, what: p.what, bits: p.bits, db: p.db },
        ...{ best: best.db, gain: p.db - best.db, other: best.what },
      })
    }
  }
  const families = [...new Set(own.map(p => p.family))]
  const series = families.map(family => ({
    name: family,
    points: own
      .filter(p => p.family === family)
      .map(p => ({ x: p.bits, y: p.db, title: `${p.what}: ${p.db} dB` })),
    line: family === 'autoencoder',
  }))
  const svg = svgPlot(series, { title: name, x: 'bits per weight', y: 'signal to noise, dB' })
  if (svg) await writeFile(join(out, `plot-${name.replaceAll(/[^\w]+/g, '-')}.svg`), svg)
}
finish(rows)

const kinds = { table: 'gauss', network: 'network' }
finishValues(
  [...new Set(points.map(p => p.matrix))].flatMap(matrix =>
    ['', 'rotated '].map(rotation => {
      const cells = Object.entries(kinds).flatMap(([column, values]) => {
        const what = `${rotation}${values} trellis 2 bits`
        const point = points.find(p => p.matrix === matrix && p.what === what)
        return [
          [column, point?.db],
          [`${column}Bits`, point?.bits],
        ]
      })
      return { matrix: rotation ? `${matrix}, rotated` : matrix, ...Object.fromEntries(cells) }
    }),
  ),
)

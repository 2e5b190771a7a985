/**
 * Codecs on unit normal weights: bits per weight, mean squared error, its distance to the rate-distortion limit 2^(−2·bpw),
 * time to encode and to decode (first time, and the least of the next five). One core. Two autoencoders have convolutions that
 * do something, two only their linear path.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/codecs.ts [rows=512] [cols=1024] [filter] [--record]
 */
import { autoencoder } from '../../packages/autoencoder/src/index.ts'
import { normals, relativeError } from '../../packages/tensor-io/src/codec/conformance/index.ts'
import { bitsPerWeight, type MatrixCodec } from '../../packages/tensor-io/src/index.ts'
import { additive, e8, grid, kmeans, normalfloat, trellis } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const [rows = 512, cols = 1024] = process.argv.slice(2, 4).map(Number)
const filter = new RegExp(process.argv[4] ?? '')
const entry = <P>(codec: MatrixCodec<P>, params: P) => ({ codec: codec as MatrixCodec, params })

const entries = [
  entry(grid, { bits: 2 }),
  entry(grid, { bits: 3 }),
  entry(grid, { bits: 4 }),
  entry(grid, { bits: 4, group: 'row' }),
  entry(normalfloat, { bits: 2, clip: 'mse' }),
  entry(normalfloat, { bits: 3, clip: 'mse' }),
  entry(normalfloat, { bits: 4 }),
  entry(kmeans, { bits: 2, dim: 2, group: 'none' }),
  entry(kmeans, { bits: 2, dim: 4, group: 'none' }),
  entry(kmeans, { bits: 3, dim: 2, group: 'none' }),
  entry(e8, { bits: 2 }),
  entry(e8, { bits: 3 }),
  entry(e8, { bits: 4 }),
  entry(additive, { codebooks: 2, codebookBits: 8 }),
  entry(additive, { codebooks: 3, codebookBits: 8 }),
  ...[8, 10, 12].flatMap(stateBits => [1, 2, 3, 4].map(bits => entry(trellis, { bits, stateBits }))),
  entry(trellis, { bits: 2, stateBits: 14 }),
  ...[1.5, 2.25, 2.5, 2.75, 3.5].map(bits => entry(trellis, { bits, stateBits: 10 })),
  ...[8, 10].map(stateBits => entry(trellis, { bits: 2, stateBits, values: 'network' })),
  ...[2, 3].map(stages => entry(autoencoder, { stages, latentWidth: 16, latentBits: 2, steps: 0 })),
  ...[2, 3].map(stages =>
    entry(autoencoder, { stages, latentWidth: 16, latentBits: 2, start: 'encoder', steps: 2, batch: 2 }),
  ),
]

const w = normals(rows, cols, 1)
/** Microseconds a weight that `run` takes of the processor, and what it returns. */
async function timed<T>(run: () => T): Promise<{ result: Awaited<T>; micros: number }> {
  const before = process.cpuUsage()
  const result = await run()
  const { user, system } = process.cpuUsage(before)
  return { result, micros: Number(((user + system) / (rows * cols)).toFixed(3)) }
}

const finish = startBench({
  name: 'codecs',
  what: `Error and time of every codec on unit normal weights [${rows}, ${cols}]; every stored bit counted.`,
  sources: packages('tensor-io', 'kernels', 'vq', 'autoencoder'),
  columns: {
    codec: { label: 'codec' },
    bits: { label: 'bits per weight', unit: 'bits per weight' },
    mse: { label: 'MSE', unit: 'σ²' },
    limit: { label: 'limit 2^(−2b)', unit: 'σ²' },
    above: { label: 'above, dB', unit: 'dB', digits: 2 },
    encode: { label: 'encode CPU µs/weight', unit: 'µs per weight' },
    first: { label: 'decode, first time', unit: 'µs per weight' },
    decode: { label: 'decode CPU µs/weight', unit: 'µs per weight' },
  },
  key: ['codec'],
  seed: 1,
})
const table = []
for (const { codec, params } of entries) {
  const name = `${codec.name} ${JSON.stringify(params)}`
  if (!filter.test(name)) continue
  const { result: stored, micros: encoding } = await timed(() => codec.encode(w, params, { seed: 1 }))
  const { result: decoded, micros: first } = await timed(() => codec.decode(stored))
  const warm = []
  for (let i = 0; i < 5; i++) warm.push((await timed(() => codec.decode(stored))).micros)
  const bits = bitsPerWeight(stored)
  const error = relativeError(w, decoded)
  table.push({
    codec: `\`${name.replaceAll(/["{}]/g, '')}\``.replaceAll(/([:,])(?=\S)/g, '$1 '),
    bits: Number(bits.toFixed(3)),
    mse: Number(error.toFixed(5)),
    limit: Number((2 ** (-2 * bits)).toFixed(5)),
    above: Number((10 * Math.log10(error / 2 ** (-2 * bits))).toFixed(2)),
    encode: encoding,
    first,
    decode: Math.min(...warm),
  })
}
finish(table)

/**
 * Nearest-neighbour search in compressed embeddings, LPLR's second demonstration (arXiv 2310.11028 §5): how many of
 * a token's ten nearest tokens are still found when the embedding matrix is a product of thin matrices on few bits.
 * Queries are multiplied by the factors, the matrix itself is never decoded. Draws recall over bits per weight.
 *
 *     npx tsx --conditions=@reallm/source packages/lowrank/examples/neighbours.ts MODEL neighbours.png
 *
 * MODEL is anything `openModel` opens; the embedded model by default.
 */
import { writeFile } from 'node:fs/promises'
import { applyLowRank, type LowRank, lowRankOf, lowrank, lplrCodec, lplrFactorsOf } from '@reallm/lowrank'
import { bitsPerWeight, type EncodedMatrix, type Matrix, openModel, zeroMatrix } from '@reallm/tensor-io'
import { png } from './png.ts'

const NEIGHBOURS = 10
const QUERIES = 200
const [spec = 'npm:@reallm/tiny', to = 'neighbours.png'] = process.argv.slice(2)

const model = await openModel(spec)
const name = ['model.embed_tokens.weight', 'token_embd.weight'].find(n => model.tensors.has(n))
if (!name) throw new Error(`${spec} has no embedding matrix`)
const rows = Math.min(2048, model.tensors.get(name)!.shape[0])
const table = await model.readFloat32(name, [0, rows])
await model.close()
const embeddings = unitRows({ rows, cols: table.shape[1], data: table.data })
const step = Math.floor(rows / QUERIES)
const queries = { ...zeroMatrix(QUERIES, embeddings.cols) }
for (let q = 0; q < QUERIES; q++) {
  const from = q * step * embeddings.cols
  queries.data.set(embeddings.data.subarray(from, from + embeddings.cols), q * embeddings.cols)
}
const exact = nearest(applyLowRank({ left: embeddings, right: identity(embeddings.cols) }, queries))

const results: { method: string; bits: number; rank: number; 'bits per weight': number; recall: number }[] =
  []
for (const share of [1 / 8, 1 / 4, 1 / 2]) {
  const rank = Math.round(share * embeddings.cols)
  for (const bits of [2, 4, 8]) {
    const sketched = { rank, leftBits: bits, rightBits: bits, rounding: 'nearest' } as const
    const lplr = await lplrCodec.encode(embeddings, sketched, { seed: 1 })
    add('LPLR', bits, rank, lplr, lplrFactorsOf(lplr))
    const svd = await lplrCodec.encode(embeddings, { ...sketched, sketch: 'svd' }, { seed: 1 })
    add('LPLR-SVD', bits, rank, svd, lplrFactorsOf(svd))
    const refitted = await lowrank.encode(embeddings, { rank, bits }, { seed: 1 })
    add('refitted', bits, rank, refitted, lowRankOf(refitted))
  }
}
console.table(results)
await writeFile(to, png(plot()))

function add(method: string, bits: number, rank: number, stored: EncodedMatrix, factors: LowRank): void {
  const found = nearest(applyLowRank(factors, queries))
  const hits = found.reduce((sum, ids, q) => sum + ids.filter(id => exact[q].includes(id)).length, 0)
  results.push({
    method,
    bits,
    rank,
    'bits per weight': +bitsPerWeight(stored).toFixed(3),
    recall: +(hits / (NEIGHBOURS * QUERIES)).toFixed(3),
  })
}

/** The tokens with the largest scores, without the query's own. */
function nearest(scores: Matrix): number[][] {
  return Array.from({ length: scores.rows }, (_, q) => {
    const row = scores.data.subarray(q * scores.cols, (q + 1) * scores.cols)
    const order = Array.from(row.keys()).filter(id => id !== q * step)
    return order.sort((a, b) => row[b] - row[a]).slice(0, NEIGHBOURS)
  })
}

function unitRows(m: Matrix): Matrix {
  const out = { ...m, data: m.data.slice() }
  for (let r = 0; r < m.rows; r++) {
    const row = out.data.subarray(r * m.cols, (r + 1) * m.cols)
    const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0)) || 1
    for (let j = 0; j < m.cols; j++) row[j] /= norm
  }
  return out
}

function identity(n: number): Matrix {
  const m = zeroMatrix(n, n)
  for (let i = 0; i < n; i++) m.data[i * n + i] = 1
  return m
}

/** Recall (up, 0 to 1) over bits per weight (right, 0 to 8), a grey per method: LPLR lightest, refitted black. */
function plot(): Matrix {
  const [width, height] = [640, 400]
  const image = zeroMatrix(height, width)
  image.data.fill(1)
  const put = (x: number, y: number, grey: number) => {
    if (x >= 0 && x < width && y >= 0 && y < height) image.data[y * width + x] = grey
  }
  for (let tenth = 0; tenth <= 10; tenth++) {
    for (let x = 0; x < width; x++) put(x, Math.round((height - 1) * (1 - tenth / 10)), 0.85)
  }
  for (let bits = 0; bits <= 8; bits++) {
    for (let y = 0; y < height; y++) put(Math.round(((width - 1) * bits) / 8), y, 0.85)
  }
  const greys: Record<string, number> = { LPLR: 0.65, 'LPLR-SVD': 0.4, refitted: 0 }
  for (const { method, recall, 'bits per weight': bits } of results) {
    const [x, y] = [Math.round(((width - 1) * bits) / 8), Math.round((height - 1) * (1 - recall))]
    for (let dy = -4; dy <= 4; dy++) for (let dx = -4; dx <= 4; dx++) put(x + dx, y + dy, greys[method])
  }
  return image
}

// An embedding table on 2 to 4 bits per weight: do rows keep their nearest neighbours?
import { bitsPerWeight, openModel } from '@reallm/tensor-io'
import { trellis } from '@reallm/vq'

// Any table will do: { rows, cols, data: Float32Array }. This one is the embedding of the embedded model.
const model = await openModel('npm:@reallm/tiny')
const { shape, data } = await model.readFloat32('model.embed_tokens.weight')
const table = unitRows({ rows: shape[0], cols: shape[1], data })
const { vocab } = JSON.parse(new TextDecoder().decode(await model.readFile('tokenizer.json'))).model
const words = Object.keys(vocab)
await model.close()

const show = (row, matrix) =>
  nearest(matrix, row, 6)
    .map(id => words[id].replace('Ġ', ' '))
    .join(',')
const queries = ['Ġwhale', 'Ġsea', 'ĠPresident'].map(word => words.indexOf(word)).filter(id => id >= 0)
for (const query of queries) console.log(`${words[query].replace('Ġ', '')}:${show(query, table)}`)

for (const bits of [4, 3, 2]) {
  // trellis codes want normally distributed weights, which rows of an embedding about are
  const stored = await trellis.encode(table, { bits }, { seed: 1 })
  const approx = trellis.decode(stored)
  console.log(
    `\n${bitsPerWeight(stored).toFixed(2)} bits per weight, ${(32 / bitsPerWeight(stored)).toFixed(1)} times smaller than float32`,
  )
  for (const query of queries) console.log(`${words[query].replace('Ġ', '')}:${show(query, approx)}`)

  let kept = 0
  const sample = Array.from({ length: 100 }, (_, i) => 20 * i)
  for (const row of sample) {
    const before = new Set(nearest(table, row, 10))
    kept += nearest(approx, row, 10).filter(id => before.has(id)).length
  }
  console.log(`of ten nearest neighbours, ${(kept / sample.length).toFixed(1)} are the same`)
}

/** Numbers of the rows with the largest cosine similarity to `row`, itself left out. */
function nearest({ rows, cols, data }, row, count) {
  const query = data.subarray(row * cols, (row + 1) * cols)
  const scores = Float32Array.from({ length: rows }, (_, r) => {
    let [dot, norm] = [0, 0]
    for (let c = 0; c < cols; c++) {
      dot += data[r * cols + c] * query[c]
      norm += data[r * cols + c] ** 2
    }
    return r === row ? -Infinity : dot / Math.sqrt(norm)
  })
  return Array.from(scores.keys())
    .sort((a, b) => scores[b] - scores[a])
    .slice(0, count)
}

function unitRows({ rows, cols, data }) {
  const unit = data.slice()
  for (let r = 0; r < rows; r++) {
    const row = unit.subarray(r * cols, (r + 1) * cols)
    const norm = Math.hypot(...row) || 1
    for (let c = 0; c < cols; c++) row[c] /= norm
  }
  return { rows, cols, data: unit }
}

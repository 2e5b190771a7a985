/**
 * Image compression, LPLR's first demonstration (arXiv 2310.11028 §5): a picture as a product of two thin matrices on
 * few bits. Writes a strip of pictures: the original, then LPLR, LPLR-SVD and CALDERA's refitted factors, all of the
 * same size.
 *
 *     npx tsx --conditions=@reallm/source packages/lowrank/examples/image.ts image.png
 */
import { writeFile } from 'node:fs/promises'
import { lowrank, lplrCodec } from '@reallm/lowrank'
import {
  bitsOf,
  type EncodedMatrix,
  type Matrix,
  type MatrixCodec,
  random,
  zeroMatrix,
} from '@reallm/tensor-io'
import { png } from './png.ts'

const SIZE = 512
const [to = 'image.png'] = process.argv.slice(2)

const picture = landscape(SIZE)
const mean = picture.data.reduce((sum, v) => sum + v, 0) / picture.data.length
const centred = { ...picture, data: picture.data.map(v => v - mean) }
const rank = 64

const shown = [picture]
const table: Record<string, object> = {}
await add('lplr', lplrCodec, { rank, leftBits: 4, rightBits: 4 })
await add('lplr, to nearest', lplrCodec, { rank, leftBits: 4, rightBits: 4, rounding: 'nearest' })
await add('lplr-svd, to nearest', lplrCodec, {
  rank,
  leftBits: 4,
  rightBits: 4,
  sketch: 'svd',
  rounding: 'nearest',
})
await add('refitted factors', lowrank, { rank, bits: 4, refits: 12 })
console.table(table)
await writeFile(to, png(sideBySide(shown)))

async function add<P>(name: string, codec: MatrixCodec<P>, params: P): Promise<void> {
  const stored: EncodedMatrix = await codec.encode(centred, params, { seed: 1 })
  const decoded = codec.decode(stored)
  const squares = decoded.data.reduce((sum, v, i) => sum + (v - centred.data[i]) ** 2, 0)
  table[name] = {
    bytes: bitsOf(stored) / 8,
    'bits per pixel': +(bitsOf(stored) / picture.data.length).toFixed(3),
    'PSNR, dB': +(10 * Math.log10(picture.data.length / squares)).toFixed(2),
  }
  shown.push({ ...decoded, data: decoded.data.map(v => v + mean) })
}

/** Hills before an evening sky, a sun, and its reflection on water. */
function landscape(size: number): Matrix {
  const image = zeroMatrix(size, size)
  const rng = random(7)
  const waves = Array.from({ length: 24 }, (_, i) => ({
    pitch: 1.6 ** (i / 3),
    height: 0.09 / (1 + i / 2),
    phase: 2 * Math.PI * rng.uniform(),
  }))
  const ridge = (x: number, base: number, layer: number) =>
    base +
    waves.reduce(
      (sum, w, i) => sum + w.height * Math.sin(w.pitch * 5 * x + w.phase * (layer + 1) + i * layer),
      0,
    ) *
      0.35
  for (let row = 0; row < size; row++) {
    for (let col = 0; col < size; col++) {
      const [x, y] = [col / size, row / size]
      const sun = Math.hypot(x - 0.68, y - 0.3)
      let v = 0.85 - 0.5 * y + 0.3 * Math.exp(-((sun / 0.16) ** 2)) + (sun < 0.06 ? 0.2 : 0)
      for (let layer = 0; layer < 4; layer++) {
        const top = ridge(x, 0.36 + 0.09 * layer, layer)
        if (y > top)
          v = 0.62 - 0.13 * layer + 0.12 * Math.sin(90 * x * (layer + 1) + 40 * (y - top)) * (y - top)
      }
      if (y > 0.74) {
        const glint = Math.exp(-(((x - 0.68) / (0.05 + 0.25 * (y - 0.74))) ** 2))
        v =
          0.25 +
          0.35 * glint * (0.6 + 0.4 * Math.sin(220 * y + 9 * Math.sin(17 * x))) +
          0.05 * Math.sin(160 * y * y)
      }
      image.data[row * size + col] = v
    }
  }
  return image
}

function sideBySide(images: readonly Matrix[]): Matrix {
  const [{ rows, cols }] = images
  const strip = zeroMatrix(rows, cols * images.length)
  for (const [i, image] of images.entries()) {
    for (let r = 0; r < rows; r++) {
      strip.data.set(image.data.subarray(r * cols, (r + 1) * cols), r * strip.cols + i * cols)
    }
  }
  return strip
}

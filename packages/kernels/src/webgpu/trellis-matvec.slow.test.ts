import { random } from '@reallm/tensor-io'
import { trellisSegments } from '@reallm/tensor-io/layouts/trellis-segments'
import { describe, expect, it } from 'vitest'
import { runKernel, testDevice } from '../../test/webgpu.ts'
import { decodeTrellisRows, type TrellisMatrix } from '../decode/trellis.ts'
import { trellisTable } from '../trellis-tables.ts'
import { trellisBlob } from './trellis-blob.ts'
import { trellisJobs } from './trellis-jobs.ts'
import { trellisMatvec } from './trellis-matvec.ts'
import type { TableMemory } from './trellis-table.ts'

const device = await testDevice()

function randomTrellis(
  rows: number,
  rates: number[],
  stateBits: number,
  cols: number,
  rowScales: boolean,
): TrellisMatrix {
  const draw = random(5)
  const segments = trellisSegments(rows, cols, Uint8Array.from(rates)).map(segment => ({
    ...segment,
    words: Uint32Array.from({ length: segment.tiles.words }, () => draw.word()),
    table: trellisTable(stateBits, segment.bits),
  }))
  const scales = Float32Array.from({ length: rowScales ? rows : 1 }, () => 1 + draw.uniform())
  return { shape: [rows, cols], stateBits, segments, scales }
}

describe.skipIf(!device)('trellisMatvec', () => {
  const rates = Array.from({ length: 21 }, (_, i) => 4 + i)
  it.each([
    { rows: 200, cols: 21 * 16, rates, stateBits: 10, memory: 'f32' },
    { rows: 64, cols: 16 * 10 - 5, rates: [8, 8, 8, 9, 9, 10, 10, 10, 10, 12], stateBits: 12, memory: 'i8' },
    { rows: 48, cols: 64, rates: [16, 16, 17, 24], stateBits: 14, memory: 'storage' },
    { rows: 17, cols: 30, rates: [10, 20], stateBits: 8, memory: 'f32' },
  ] as const)('multiplies as the decoded matrix does: $rows × $cols, L = $stateBits, $memory', async c => {
    for (const [rowScales, chunks] of [
      [true, 1],
      [false, 2],
    ] as const) {
      const m = randomTrellis(c.rows, [...c.rates], c.stateBits, c.cols, rowScales)
      const x = new Float32Array(16 * Math.ceil(c.cols / 16))
      const draw = random(1)
      for (let i = 0; i < c.cols; i++) x[i] = draw.normal()
      const blob = trellisBlob(m)!
      const kernel = { kind: 'trellis', stateBits: c.stateBits, tables: blob.tables.length } as const
      const tables = new Int8Array(blob.tables.length * 2 ** c.stateBits)
      for (const [t, { codes }] of blob.tables.entries()) tables.set(codes, t * 2 ** c.stateBits)
      const place = { codes: 0, tables: 0, input: 0, inputStep: 0, output: 0, outputStep: c.rows, shares: 0 }
      const jobs = trellisJobs(blob, place, chunks)
      const buffers = [blob.write(0), new Uint32Array(tables.buffer), x, c.rows * chunks, jobs]
      const code = trellisMatvec(kernel, c.memory as TableMemory)
      const [y] = await runKernel(device!, code, buffers, [jobs.length / 16])
      const w = new Float32Array(c.rows * c.cols)
      decodeTrellisRows(m, 0, c.rows, w)
      for (let r = 0; r < c.rows; r++) {
        let [want, norm] = [0, 0]
        for (let i = 0; i < c.cols; i++) {
          want += w[r * c.cols + i] * x[i]
          norm += (w[r * c.cols + i] * x[i]) ** 2
        }
        const got = Array.from({ length: chunks }, (_, s) => y[s * c.rows + r]).reduce((a, b) => a + b)
        expect(Math.abs(got - want)).toBeLessThan(1e-5 * Math.sqrt(norm) + 1e-6)
      }
    }
  })
})

import { f16ToF32, f32ToF16 } from '@reallm/tensor-io'
import type { CodedRows } from '@reallm/tensor-io/layouts/coded-rows'
import { CODED_JOB_WORDS, CODED_ROWS, CodedJob } from './coded-matvec.ts'
import { type CodedKernel, UNIT } from './coded-unit.ts'
import type { ProductPlace } from './trellis-jobs.ts'

/** Codes in rows as their kernels read them; places are counted in words from the blob's beginning. */
export interface CodedBlob {
  readonly rows: number
  readonly cols: number
  readonly kernel: CodedKernel
  readonly words: number
  /** Words of a row. */
  readonly rowWords: number
  readonly group: number
  readonly table: number
  readonly scales: number
  readonly shifts: number
  readonly codes: number
  data(): Uint32Array<ArrayBuffer>
}

/** Lays stored codes out for the kernels; undefined where columns are in another order. */
export function codedBlob(m: CodedRows): CodedBlob | undefined {
  const { rows, cols, bits, dim, table, scales, shifts, group } = m
  if (m.order) return undefined
  const offset = table[0]
  const isUniform = dim === 1 && table.every((v, i) => v === offset + i)
  const values = isUniform ? 'uniform' : 'table'
  // A code stands for itself: where the first value is not 0 it is taken off with the group's own.
  const taken =
    isUniform && (offset !== 0 || shifts) ? scales.map((_, g) => (shifts ? shifts[g] : 0) - offset) : shifts
  const isHalf = [scales, ...(taken ? [taken] : [])].every(isF16)
  return blob(rows, cols, group, {
    kernel: {
      ...{ kind: 'coded', bits, dim, values, shifts: taken !== undefined },
      ...{ scaleBits: isHalf ? 16 : 32, aligned: group % UNIT === 0 || group === cols },
    },
    ...{ table: isUniform ? undefined : table, scales, shifts: taken },
    rowBytes: m.codes.shape[1],
    bytes: m.codes.data,
  })
}

/**
 * A matrix of plain floats on `bits` bits: 32 and 16 as they are, 8 as whole numbers times a scale for every 64 columns. Rows are
 * given from top to bottom.
 */
export function floatBlob(rows: number, cols: number, bits: 8 | 16 | 32) {
  const rowBytes = (bits / 8) * UNIT * Math.ceil(cols / UNIT)
  const bytes = new Uint8Array(rows * rowBytes)
  const [floats, halves] = [new Float32Array(bytes.buffer), new Uint16Array(bytes.buffer)]
  const groups = Math.ceil(cols / GROUP)
  const scales = new Float32Array(bits === 8 ? rows * groups : 0)
  let next = 0
  return {
    write(values: Float32Array): void {
      for (let from = 0; from < values.length; from += cols, next++) {
        const row = values.subarray(from, from + cols)
        if (bits === 32) floats.set(row, (next * rowBytes) / 4)
        else if (bits === 16) halves.set(f32ToF16(Float32Array.from(row)), (next * rowBytes) / 2)
        else quantise(row, next)
      }
    },
    finish: (): CodedBlob =>
      blob(rows, cols, GROUP, {
        kernel: {
          ...{ kind: 'coded', bits, dim: 1, aligned: true },
          ...(bits === 8
            ? { values: 'uniform', scaleBits: 32, shifts: true }
            : { values: 'float', scaleBits: 0, shifts: false }),
        },
        ...(bits === 8 ? { scales, shifts: scales.map(() => 128) } : {}),
        ...{ rowBytes, bytes },
      }),
  }

  function quantise(row: Float32Array, r: number): void {
    for (let from = 0; from < cols; from += GROUP) {
      const of = row.subarray(from, from + GROUP)
      const scale = of.reduce((top, v) => Math.max(top, Math.abs(v)), 0) / 127
      scales[r * groups + from / GROUP] = scale
      for (const [c, v] of of.entries())
        bytes[r * rowBytes + from + c] = 128 + (scale > 0 ? Math.round(v / scale) : 0)
    }
  }
}

/** Columns of plain floats that share a scale. */
const GROUP = 64

interface Parts {
  readonly kernel: CodedKernel
  readonly table?: Float32Array | undefined
  readonly scales?: Float32Array
  readonly shifts?: Float32Array | undefined
  readonly rowBytes: number
  readonly bytes: Uint8Array
}

function blob(rows: number, cols: number, group: number, parts: Parts): CodedBlob {
  const { kernel, rowBytes, bytes } = parts
  const values = (of: Float32Array | undefined, half: boolean): Uint32Array => {
    if (!of) return new Uint32Array(0)
    if (!half) return new Uint32Array(Float32Array.from(of).buffer)
    const packed = new Uint16Array(2 * Math.ceil(of.length / 2))
    packed.set(f32ToF16(of))
    return new Uint32Array(packed.buffer)
  }
  const half = kernel.scaleBits === 16
  const [table, scales, shifts] = [
    values(parts.table, false),
    values(parts.scales, half),
    values(parts.shifts, half),
  ]
  const scalesAt = table.length
  const shiftsAt = scalesAt + scales.length
  const codesAt = shiftsAt + shifts.length
  const rowWords = Math.ceil(rowBytes / 4)
  // The last unit may read a few words further than its codes.
  const words = codesAt + rows * rowWords + 4
  return {
    ...{ rows, cols, kernel, words, rowWords, group },
    ...{ table: 0, scales: scalesAt, shifts: shiftsAt, codes: codesAt },
    data() {
      const all = new Uint32Array(words)
      all.set(table)
      all.set(scales, scalesAt)
      all.set(shifts, shiftsAt)
      const to = new Uint8Array(all.buffer, 4 * codesAt)
      for (let r = 0; r < rows; r++)
        to.set(bytes.subarray(r * rowBytes, (r + 1) * rowBytes), 4 * r * rowWords)
      return all
    },
  }
}

const isF16 = (values: Float32Array): boolean => {
  const back = f16ToF32(f32ToF16(values))
  return values.every((v, i) => v === back[i])
}

/** The jobs of a product with codes in rows, `step` rows each. */
export function codedJobs(
  m: CodedBlob,
  place: Omit<ProductPlace, 'tables'>,
  step: number = CODED_ROWS,
): Uint32Array<ArrayBuffer> {
  const count = Math.ceil(m.rows / step)
  const jobs = new Uint32Array(count * CODED_JOB_WORDS)
  for (let n = 0; n < count; n++) {
    const at = n * CODED_JOB_WORDS
    jobs[at + CodedJob.codes] = place.codes + m.codes + n * step * m.rowWords
    jobs[at + CodedJob.rowWords] = m.rowWords
    jobs[at + CodedJob.units] = Math.ceil(m.cols / UNIT)
    jobs[at + CodedJob.rows] = Math.min(step, m.rows - n * step)
    jobs[at + CodedJob.input] = place.input
    jobs[at + CodedJob.output] = place.output + n * step
    jobs[at + CodedJob.firstRow] = n * step
    jobs[at + CodedJob.groups] = Math.ceil(m.cols / m.group)
    jobs[at + CodedJob.table] = place.codes + m.table
    jobs[at + CodedJob.scales] = place.codes + m.scales
    jobs[at + CodedJob.shifts] = place.codes + m.shifts
    jobs[at + CodedJob.group] = m.group
    jobs[at + CodedJob.outputStep] = place.outputStep
    jobs[at + CodedJob.inputStep] = place.inputStep
    jobs[at + CodedJob.shares] = place.shares
  }
  return jobs
}

import { TILE } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { TrellisBlob } from './trellis-blob.ts'
import { BAND_ROWS, JOB_WORDS, Job } from './trellis-matvec.ts'

/** Where the parts of a product lie in the buffers of its kernel. */
export interface ProductPlace {
  /** Of the blob, in words of `codes`. */
  readonly codes: number
  /** Of the matrix's first table, in bytes of `tables`. */
  readonly tables: number
  /** Of the input, in vec4 of `x`, and from one token to the next. */
  readonly input: number
  readonly inputStep: number
  /** Of the output, in floats of `y`: `[chunks, outputStep]` of one token, `[tokens, outputStep]` of several. */
  readonly output: number
  readonly outputStep: number
  /** Where the shares of an expert are in `y`, 1 more; 0 for what is no expert's. */
  readonly shares: number
}

/**
 * The jobs of a product, bands from top to bottom, `chunks` ranges of tile columns each: several keep a device busy that has
 * more cores than the matrix has bands. Their sums are written one after another, `[chunks, outputStep]`.
 */
export function trellisJobs(
  blob: TrellisBlob,
  place: ProductPlace,
  chunks: number,
): Uint32Array<ArrayBuffer> {
  const { rows, cols } = blob
  const tileColumns = Math.ceil(cols / TILE)
  const bands = Math.ceil(rows / BAND_ROWS)
  const jobs = new Uint32Array(bands * chunks * JOB_WORDS)
  for (let band = 0, at = 0; band < bands; band++) {
    for (let chunk = 0; chunk < chunks; chunk++, at += JOB_WORDS) {
      jobs[at + Job.columns] = place.codes
      jobs[at + Job.firstColumn] = Math.floor((tileColumns * chunk) / chunks)
      jobs[at + Job.lastColumn] = Math.floor((tileColumns * (chunk + 1)) / chunks)
      jobs[at + Job.band] = band
      jobs[at + Job.tileRows] = Math.ceil(rows / TILE)
      jobs[at + Job.input] = place.input
      jobs[at + Job.output] = place.output + chunk * place.outputStep + band * BAND_ROWS
      jobs[at + Job.rows] = Math.min(BAND_ROWS, rows - band * BAND_ROWS)
      jobs[at + Job.scale] = place.codes + blob.scalesAt + blob.scaleStep * band * BAND_ROWS
      jobs[at + Job.scaleStep] = blob.scaleStep
      jobs[at + Job.tables] = place.tables
      jobs[at + Job.outputStep] = place.outputStep
      jobs[at + Job.inputStep] = place.inputStep
      jobs[at + Job.tableCount] = blob.tables.length
      jobs[at + Job.shares] = place.shares
    }
  }
  return jobs
}

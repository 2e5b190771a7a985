import { type Row, type Run, readResults } from './schema.ts'
import { rowsTable } from './table.ts'

const smollm2 = 'SmolLM2-135M-Instruct'

/** Runs of `gguf-target` with a model's files alone, llama.cpp's and ours, in the columns of `quality`. */
const runsOf = (model: string): Run[] =>
  readResults('gguf-target').runs.flatMap(run => {
    const rows = run.rows.filter(row => row.model === model)
    return rows.length === 0 ? [] : [{ ...run, rows: rows.map(inQuality) }]
  })

const inQuality = ({ made, name, bytes, perplexity, original, kl, top1 }: Row): Row => ({
  ...{ program: made === 'reallm' ? 'reallm, GGUF' : made, name, bytes, perplexity, kl, top1 },
  ratio: Number(perplexity) / Number(original),
})

/** Runs of GGUF files of SmolLM2, in the columns of `quality`. */
export const smollm2Ggufs = (): Run[] => runsOf(smollm2)

const smollm2Runs = (): Run[] => [...readResults('quality').runs, ...smollm2Ggufs()]

/** Files of a model that a program made, whose size and KL divergence were measured; the smallest first. */
function filesIn(runs: readonly Run[], program: string): Row[] {
  return runs
    .flatMap(run => run.rows)
    .filter(row => row.program === program && row.bytes !== undefined && row.kl !== undefined)
    .sort((a, b) => Number(a.bytes) - Number(b.bytes))
}

/** Files of SmolLM2 by a program: `llama.cpp`, `reallm, GGUF` or, as artifacts, `reallm`. */
export const filesOf = (program: string): Row[] => filesIn(smollm2Runs(), program)

/** Each of llama.cpp's files of a model beside the best of our GGUF files that is no larger. */
function margins(runs: readonly Run[]): string {
  const ours = filesIn(runs, 'reallm, GGUF')
  const columns = {
    name: { label: 'llama.cpp’s type' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    oursBytes: { label: 'our file of this size or below, MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    oursKl: { label: 'its KL', unit: 'nats per token', digits: 4 },
    less: { label: 'less KL, %', unit: 'share', scale: 100, digits: 0 },
  }
  const beside = (row: Row): Row => {
    const fitting = ours.filter(({ bytes }) => Number(bytes) <= Number(row.bytes))
    if (fitting.length === 0) return row
    const best = fitting.reduce((a, b) => (Number(b.kl) < Number(a.kl) ? b : a))
    return { ...row, oursBytes: best.bytes, oursKl: best.kl, less: 1 - Number(best.kl) / Number(row.kl) }
  }
  return rowsTable(columns, filesIn(runs, 'llama.cpp').reverse().map(beside))
}

export const ggufMargins = (): string => margins(smollm2Runs())

/** Name of the second model, whose widths 256 divides. */
const wide = '5 M parameters, 256 wide'

export const wideGgufMargins = (): string => margins(runsOf(wide))

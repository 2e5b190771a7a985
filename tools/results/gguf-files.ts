import { type Row, readResults } from './schema.ts'
import { rowsTable } from './table.ts'

const rows = () => readResults('quality').runs.flatMap(run => run.rows)

/** Files of SmolLM2 that a program made, whose size and KL divergence were measured; the smallest first. */
export const filesOf = (program: string): Row[] =>
  rows()
    .filter(row => row.program === program && row.bytes !== undefined && row.kl !== undefined)
    .sort((a, b) => Number(a.bytes) - Number(b.bytes))

/** Each of llama.cpp's files beside the best of our GGUF files that is no larger. */
export function ggufMargins(): string {
  const ours = filesOf('reallm, GGUF')
  const columns = {
    name: { label: 'llama.cpp’s type' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 3 },
    oursBytes: { label: 'our file of this size or below, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    oursKl: { label: 'its KL', unit: 'nats per token', digits: 3 },
    less: { label: 'less KL, %', unit: 'share', scale: 100, digits: 0 },
  }
  const beside = (row: Row): Row => {
    const fitting = ours.filter(({ bytes }) => Number(bytes) <= Number(row.bytes))
    const best = fitting.reduce((a, b) => (Number(b.kl) < Number(a.kl) ? b : a))
    return { ...row, oursBytes: best.bytes, oursKl: best.kl, less: 1 - Number(best.kl) / Number(row.kl) }
  }
  return rowsTable(columns, filesOf('llama.cpp').reverse().map(beside))
}

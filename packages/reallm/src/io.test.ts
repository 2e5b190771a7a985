import { expect, test } from 'vitest'
import { type Io, progressOn, table } from './io.ts'

function terminal(columns: number) {
  const written: string[] = []
  const io: Io = {
    out: () => {},
    err: text => void written.push(text),
    stdin: async () => '',
    async *lines() {},
    isTty: true,
    columns,
    signal: new AbortController().signal,
    verbose: false,
  }
  return { written, ...progressOn(io) }
}

test('one line has the share of all stages, the time left, and what is being done', () => {
  const { written, onProgress } = terminal(100)
  const overall = { share: 0.5, eta: 90 }
  onProgress({ event: 'matrix-end', name: 'layers.0.q_proj', done: 1, total: 1, overall })
  expect(written).toEqual(['\r\x1b[2K████████░░░░░░░░   50%  1 min 30 s left  matrix  layers.0.q_proj'])
})

test('lines fit the terminal, so that they can be redrawn', () => {
  const { written, onProgress, end } = terminal(40)
  onProgress({ event: 'matrix-end', name: 'model.layers.0.self_attn.q_proj', done: 3, total: 3 })
  end()
  expect(written[0]).toBe('\r\x1b[2K████████  100%  matrix  …_attn.q_proj')
  expect(written[1]).toBe('\r\x1b[2K')
})

test('a warning is said once', () => {
  const { written, onProgress } = terminal(80)
  for (let i = 0; i < 2; i++) onProgress({ event: 'warning', message: 'windows are long', done: 0, total: 0 })
  expect(written).toEqual(['warning: windows are long\n'])
})

test('a table may be as long as a model has tensors', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [`tensor ${i}`, String(i)])
  expect(table([['name', 'number'], ...rows]).split('\n')[200_000]).toBe('tensor 199999  199999')
})

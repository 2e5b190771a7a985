import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** Runs an example; the numbers in one column of the table that it prints, row by row, and the picture it writes. */
async function run(example: string, args: (picture: string) => string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-example-'))
  try {
    const picture = join(folder, 'picture.png')
    const script = fileURLToPath(new URL(`../examples/${example}.ts`, import.meta.url))
    const node = ['--conditions=@reallm/source', '--import', 'tsx', script, ...args(picture)]
    const { stdout } = await promisify(execFile)(process.execPath, node)
    const lines = stdout.split('\n').filter(line => line.startsWith('│'))
    const [head, ...rows] = lines.map(line =>
      line
        .split('│')
        .slice(2, -1)
        .map(cell => cell.trim()),
    )
    const column = (name: string) => rows.map(cells => Number(cells[head.indexOf(name)]))
    return { column, picture: new Uint8Array(await readFile(picture)) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

test('an image in one bit per pixel: each refinement of LPLR is sharper', async () => {
  const { column, picture } = await run('image', to => [to])
  expect([...picture.subarray(0, 8)]).toEqual(pngSignature)
  const sharpness = column('PSNR, dB')
  expect(sharpness[0]).toBeGreaterThan(30)
  expect(sharpness).toEqual([...sharpness].sort((a, b) => a - b))
  expect(new Set(column('bytes')).size).toBe(1)
}, 120_000)

test('nearest neighbours are found in compressed embeddings, more of them with more bits', async () => {
  const { column, picture } = await run('neighbours', to => ['npm:@reallm/tiny', to])
  expect([...picture.subarray(0, 8)]).toEqual(pngSignature)
  const [recall, bits, rank] = ['recall', 'bits', 'rank'].map(column)
  const largest = Math.max(...rank)
  const at = (b: number) => Math.max(...recall.filter((_, i) => rank[i] === largest && bits[i] === b))
  expect(at(4)).toBeGreaterThan(at(2))
  expect(at(8)).toBeGreaterThan(0.6)
}, 120_000)

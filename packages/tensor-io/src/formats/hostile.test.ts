import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { rowGrid } from '../../test/toy-codecs.ts'
import { createRegistry } from '../codec/registry.ts'
import { ReallmError } from '../core/errors.ts'
import { matrix, tensor } from '../core/tensor.ts'
import { createArtifactWriter } from './artifact/index.ts'
import { createGgufWriter, openGguf } from './gguf/index.ts'
import { openFiles } from './open/index.ts'
import { encodeSafetensors, openSafetensors } from './safetensors/index.ts'
import { type ByteSource, bytesSource } from './source/index.ts'
import type { TensorStore } from './store.ts'

/** What happens to a file on its way: its end is cut off, or bytes become others. */
const damage = fc.record({
  length: fc.option(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })),
  bytes: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), fc.nat(255)), {
    maxLength: 4,
  }),
})
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

function damaged(file: Uint8Array, { length, bytes }: Damage): Uint8Array {
  const copy = file.slice(0, length === null ? file.length : Math.floor(length * file.length))
  for (const [where, byte] of bytes) if (copy.length > 0) copy[Math.floor(where * copy.length)] = byte
  return copy
}

/** A source that fails the test when it is asked for bytes outside the file. */
function guarded(name: string, bytes: Uint8Array): ByteSource {
  const source = bytesSource(name, bytes)
  return {
    ...source,
    read(start, end, options) {
      expect(0 <= start && start <= end && end <= bytes.length).toBe(true)
      return source.read(start, end, options)
    },
  }
}

/** Opens and reads everything; the only error that may come is ours, with a message. */
async function survive(open: () => Promise<TensorStore>): Promise<void> {
  try {
    const store = await open()
    for (const name of store.tensors.keys()) await store.readFloat32(name)
  } catch (error) {
    if (!(error instanceof ReallmError)) throw error
    expect(error.message.length).toBeGreaterThan(10)
  }
}

const files: Record<string, Uint8Array> = {}
let gguf: Uint8Array
let shard: string
beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'reallm-hostile-'))
  const values = Float32Array.from({ length: 128 }, (_, i) => Math.sin(i))
  const writer = await createGgufWriter(
    join(dir, 'x.gguf'),
    {
      'general.architecture': { type: 'string', value: 'llama' },
      'tokenizer.ggml.tokens': { type: 'string', value: ['a', 'bc', 'def'] },
      'tokenizer.ggml.scores': { type: 'float32', value: [1, 2, 3] },
      'llama.context_length': { type: 'uint64', value: 512 },
    },
    { q: { type: 'Q8_0', shape: [2, 64] }, h: { type: 'F16', shape: [128] } },
  )
  await writer.write('q', values)
  await writer.write('h', values)
  await writer.finish()
  gguf = await readFile(writer.path)
  await rm(writer.path)

  const artifact = await createArtifactWriter(dir, { config: { model_type: 'llama' } })
  await artifact.addMatrix('layer', await rowGrid.encode(matrix(values, [8, 16]), { bits: 8 }, { seed: 1 }))
  await artifact.addTensor('norm', tensor('F32', [128], values))
  await artifact.finish()
  for (const name of await readdir(dir)) files[name] = new Uint8Array(await readFile(join(dir, name)))
  shard = Object.keys(files).find(name => name.endsWith('.safetensors'))!
  await rm(dir, { recursive: true })
})

describe('damaged files', () => {
  it('of safetensors end in a clear error or are read', async () => {
    const file = encodeSafetensors(
      { a: tensor('F32', [2, 3], new Float32Array(6)), b: tensor('BF16', [], Uint16Array.of(1)) },
      { format: 'pt' },
    )
    await fc.assert(
      fc.asyncProperty(damage, d =>
        survive(() => openSafetensors(guarded('x.safetensors', damaged(file, d)))),
      ),
      { numRuns: 1500 },
    )
  })

  it('of GGUF end in a clear error or are read', async () => {
    await fc.assert(
      fc.asyncProperty(damage, d => survive(() => openGguf(guarded('x.gguf', damaged(gguf, d))))),
      { numRuns: 1500 },
    )
  })

  it('of an artifact end in a clear error or are read', async () => {
    const registry = createRegistry([rowGrid])
    const names = Object.keys(files)
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), damage, fc.boolean(), (name, d, verify) =>
        survive(() => {
          const sources = names.map(n => ({
            name: n,
            source: guarded(n, n === name ? damaged(files[n], d) : files[n]),
          }))
          return openFiles(sources, { registry, verify })
        }),
      ),
      { numRuns: 600 },
    )
  })

  it('of an artifact never pass verification', async () => {
    const registry = createRegistry([rowGrid])
    const flips = fc.tuple(fc.nat(files[shard].length - 1), fc.integer({ min: 1, max: 255 }))
    await fc.assert(
      fc.asyncProperty(flips, async ([at, bits]) => {
        const altered = files[shard].slice()
        altered[at] ^= bits
        const all = { ...files, [shard]: altered }
        const sources = Object.entries(all).map(([name, bytes]) => ({ name, source: guarded(name, bytes) }))
        await expect(openFiles(sources, { registry, verify: true })).rejects.toThrow(/model\.safetensors/)
      }),
      { numRuns: 200 },
    )
  })

  it('that are noise are refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async bytes => {
        const error = await openSafetensors(guarded('x', bytes)).catch((e: unknown) => e)
        expect(error).toBeInstanceOf(ReallmError)
        expect(await openGguf(guarded('x', bytes)).catch((e: unknown) => e)).toBeInstanceOf(ReallmError)
      }),
    )
  })
})

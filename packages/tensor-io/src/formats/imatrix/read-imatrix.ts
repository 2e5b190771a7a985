import { ReallmError } from '../../core/errors.ts'
import { openGguf } from '../gguf/open.ts'
import { type ByteSource, bytesSource } from '../source/source.ts'
import type { Imatrix, InputSquares } from './imatrix.ts'
import { readLegacyImatrix } from './read-legacy.ts'

/** Bytes that no importance matrix has: the largest models' have some hundred million. */
const mostBytes = 2 ** 31

const [sums, counts] = ['.in_sum2', '.counts']

/**
 * Reads an importance matrix of llama.cpp in either form: GGUF, or the older `.dat`. Closes the source.
 *
 * @throws `bad-file` where it is none, or holds what no measurement gives
 */
export async function readImatrix(source: ByteSource): Promise<Imatrix> {
  const { name, size } = source
  try {
    if (size > mostBytes) throw refuse(name, `it has ${size} bytes`)
    const bytes = await source.read(0, size)
    const isGguf = size >= 4 && String.fromCharCode(...bytes.subarray(0, 4)) === 'GGUF'
    const found = isGguf ? await readGgufImatrix(name, bytes) : readLegacyImatrix(name, bytes)
    if (found.tensors.size === 0) throw refuse(name, 'it has no entries')
    for (const [tensor, { meanSquares }] of found.tensors) {
      if (!meanSquares.every(v => v >= 0 && v < Number.POSITIVE_INFINITY))
        throw refuse(name, `${tensor} has values that are no mean squares`)
    }
    return found
  } finally {
    await source.close()
  }
}

async function readGgufImatrix(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Imatrix> {
  const file = await openGguf(bytesSource(name, bytes))
  const tensors = new Map<string, InputSquares>()
  for (const [tensor, { dtype, shape }] of file.tensors) {
    if (!tensor.endsWith(sums)) continue
    const of = tensor.slice(0, -sums.length)
    const count = file.tensors.get(`${of}${counts}`)
    if (dtype !== 'F32' || count?.dtype !== 'F32') throw refuse(name, `${of} lacks sums or counts in F32`)
    const tokens = [...(await file.readFloat32(`${of}${counts}`)).data]
    const { data } = await file.readFloat32(tensor)
    const matrices = tokens.length
    if (matrices === 0 || data.length % matrices !== 0)
      throw refuse(name, `${of} [${shape.join('×')}] has ${matrices} counts`)
    const cols = data.length / matrices
    // what no token has reached counts as if all inputs were alike, as in llama.cpp
    const mean = (v: number, i: number) => {
      const count = tokens[Math.floor(i / cols)]
      return count > 0 ? v / count : 1
    }
    tensors.set(of, { meanSquares: data.map(mean), tokens })
  }
  const {
    'imatrix.datasets': datasets,
    'imatrix.chunk_count': chunks,
    'imatrix.chunk_size': chunkSize,
  } = file.metadata
  return {
    tensors,
    datasets: Array.isArray(datasets) ? datasets.map(String) : [],
    chunks: Number(chunks ?? 0),
    chunkSize: Number(chunkSize ?? 0),
  }
}

const refuse = (name: string, what: string) =>
  new ReallmError('bad-file', `${name} is no importance matrix of llama.cpp: ${what}`, {
    hint: 'llama-imatrix and reallm imatrix write them',
  })

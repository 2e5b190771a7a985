import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { bytesText, fileError, ReallmError } from '@reallm/tensor-io'

const INDEX = 'model.safetensors.index.json'
const CHUNK = 1 << 22
/** Files that a weight file is cut into, at most: hosts refuse packages of very many. */
const mostParts = 1000

/** A file that holds a part of a weight file, as the index lists it. */
interface Part {
  readonly file: string
  readonly bytes: number
}

/**
 * Cuts the weight files of an artifact that are larger than `most` bytes, and writes into its index what its files are. Checksums
 * stay those of the whole files.
 *
 * @param files names of what is in the folder
 * @returns the names of what is in it afterwards
 * @throws `bad-option` where a file would be cut into too many
 */
export async function splitWeights(
  folder: string,
  files: readonly string[],
  most: number,
): Promise<string[]> {
  const index = JSON.parse(await readFile(join(folder, INDEX), 'utf8'))
  const { metadata } = index
  const shards = Object.keys(metadata.bytes).sort()
  const parts: Record<string, Part[]> = { ...metadata.parts }
  const small = files.filter(file => file !== INDEX && !/\.(safetensors|bin)$/.test(file))
  const weights: string[] = []
  for (const shard of shards) {
    const { size } = shard in parts ? { size: 0 } : await stat(join(folder, shard))
    if (size > most) {
      parts[shard] = await cut(folder, shard, size, most)
      await rm(join(folder, shard))
    }
    weights.push(...(parts[shard]?.map(({ file }) => file) ?? [shard]))
  }
  metadata.files = small
  if (Object.keys(parts).length > 0) metadata.parts = parts
  await writeFile(join(folder, INDEX), `${JSON.stringify(index, null, 2)}\n`)
  return [...small, INDEX, ...weights].sort()
}

async function cut(folder: string, shard: string, size: number, most: number): Promise<Part[]> {
  const count = Math.ceil(size / most)
  if (count > mostParts) {
    throw new ReallmError('bad-option', `files of ${bytesText(most)}: ${shard} would be cut into ${count}`, {
      hint: `take ${bytesText(Math.ceil(size / mostParts))} or more`,
    })
  }
  const parts: Part[] = []
  for (let i = 0; i < count; i++) {
    const [from, to] = [i * most, Math.min(size, (i + 1) * most)]
    const file = `${shard.replace(/\.safetensors$/, '')}-part-${i + 1}-of-${count}.bin`
    const source = createReadStream(join(folder, shard), { start: from, end: to - 1, highWaterMark: CHUNK })
    await pipeline(source, createWriteStream(join(folder, file))).catch(cause => {
      throw fileError(cause, join(folder, file), 'write')
    })
    parts.push({ file, bytes: to - from })
  }
  return parts
}

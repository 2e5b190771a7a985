import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import type { Directory } from '../open/directory.ts'
import { type ByteSource, bytesSource, type ReadOptions, readAll } from '../source/source.ts'
import { checkedSource } from './checked-source.ts'
import { blocksOf, checkSize, type ShardSums, shardSums } from './shard-sums.ts'
import { readSignature, signatureName } from './signature.ts'
import { altered, sha256, sha256Of } from './verify.ts'

const index = 'model.safetensors.index.json'

/**
 * The files of a directory that were signed, and no others. What is read of them is compared with what was signed: small files
 * when they are opened, weights block by block as they are read.
 *
 * @param publicKey as `readSignature` takes it
 * @throws `integrity` where there is no signature or one of another key; when a file is opened or read, for one that was altered
 */
export async function signedDirectory(
  dir: Directory,
  publicKey: string,
  options: ReadOptions,
): Promise<Directory> {
  const contents = await bytesOf(dir, signatureName, options).catch((cause: unknown) => {
    if (!(cause instanceof ReallmError && cause.code === 'not-found')) throw cause
    throw new ReallmError('integrity', `${dir.name}: it is not signed: there is no ${signatureName} in it`, {
      hint: 'ask for a signed model, or open it without a public key',
      cause,
    })
  })
  const digests = await readSignature(dir.name, contents, publicKey)
  let known: Promise<ShardSums | undefined> | undefined

  async function open(name: string): Promise<ByteSource> {
    const digest = digests.get(name)
    if (digest === undefined) throw new ReallmError('not-found', `${dir.name}: no ${name} was signed`)
    if (name.endsWith('.safetensors')) return openWeights(name, digest)
    const bytes = await bytesOf(dir, name, options)
    if ((await sha256Of(bytes)) !== digest) throw altered(dir.name, name)
    return bytesSource(name, bytes)
  }

  async function openWeights(name: string, digest: string): Promise<ByteSource> {
    known ??= listed()
    const sums = await known
    const source = await dir.open(name)
    try {
      const blocks = sums && blocksOf(dir.name, name, source.size, sums)
      if (blocks) {
        checkSize(dir.name, name, source, sums)
        return checkedSource(dir.name, name, source, blocks)
      }
      if ((await sha256(source, options)) === digest) return source
      throw altered(dir.name, name)
    } catch (error) {
      await source.close()
      throw error
    }
  }

  /** What the signed index says about weights. */
  async function listed(): Promise<ShardSums | undefined> {
    if (!digests.has(index)) return undefined
    const { metadata } = parseJson(`${dir.name}: ${index}`, await readAll(await open(index)))
    return shardSums(Object(metadata))
  }

  return { name: dir.name, names: [...digests.keys()].sort(), local: dir.local, open }
}

async function bytesOf(dir: Directory, name: string, options: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
  const source = await dir.open(name)
  return readAll(source, options).finally(() => source.close())
}

import { parseJson } from '../../core/json.ts'
import { checkedSource } from '../artifact/checked-source.ts'
import { blocksOf, checkSize, shardSums } from '../artifact/shard-sums.ts'
import type { OpenOptions } from '../model-files.ts'
import { openShards, parseShardIndex } from '../safetensors/shards.ts'
import { joinedSource } from '../source/joined-source.ts'
import { readAll } from '../source/source.ts'
import { indexName } from './choose-weights.ts'
import type { Directory, DirectoryWeights } from './directory.ts'

/** Opens the shards that the index of a directory lists; what it says of their sizes, blocks and parts is compared or used. */
export async function openIndexed(dir: Directory, options: OpenOptions): Promise<DirectoryWeights> {
  const name = `${dir.name}: ${indexName}`
  const source = await dir.open(indexName)
  const index = parseShardIndex(name, parseJson(name, await readAll(source, options)))
  await source.close()
  const sums = shardSums(index.metadata)
  // WebCrypto is there in Node and in pages that came over HTTPS
  const checks = !dir.local && options.verify !== false && globalThis.crypto?.subtle !== undefined
  const openShard = async (file: string) => {
    const parts = sums.parts[file]
    return parts ? joinedSource(`${dir.name}: ${file}`, parts, dir.open) : dir.open(file)
  }
  const open = async (file: string) => {
    const shard = await openShard(file)
    try {
      checkSize(dir.name, file, shard, sums)
      const blocks = checks && blocksOf(dir.name, file, shard.size, sums)
      if (!blocks) return shard
      return checkedSource(dir.name, file, shard, blocks)
    } catch (error) {
      await shard.close()
      throw error
    }
  }
  const shards = await openShards(name, index, open, options)
  const { files, ...store } = shards
  const sources = new Map([...files].map(([file, { source }]) => [file, source]))
  return { ...store, metadata: index.metadata, sources }
}

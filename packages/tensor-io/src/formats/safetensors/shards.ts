import { ReallmError } from '../../core/errors.ts'
import { openPart } from '../source/open-part.ts'
import type { ByteSource, ReadOptions } from '../source/source.ts'
import type { TensorStore } from '../store.ts'
import { findTensor } from '../store.ts'
import { openSafetensors, type SafetensorsFile } from './open.ts'

/** Contents of `model.safetensors.index.json`. */
export interface ShardIndex {
  readonly weight_map: Readonly<Record<string, string>>
  readonly metadata: Readonly<Record<string, unknown>>
}

/** Several safetensors files that read as one. */
export interface Shards extends TensorStore {
  readonly files: ReadonlyMap<string, SafetensorsFile>
  /** Sum of the files, in bytes. */
  readonly bytes: number
}

/** Parses `model.safetensors.index.json`; throws `bad-file` when it names no shards or paths outside its directory. */
export function parseShardIndex(name: string, json: unknown): ShardIndex {
  const { weight_map: map, metadata = {} } = (json ?? {}) as { weight_map?: unknown; metadata?: unknown }
  if (typeof map !== 'object' || map === null || Object.keys(map).length === 0) {
    throw new ReallmError('bad-file', `${name}: it has no weight_map`, {
      hint: 'a shard index maps every tensor to a file: {"weight_map": {"<tensor>": "<file>"}}',
    })
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || file === '' || /[/\\]/.test(file)) {
      throw new ReallmError(
        'bad-file',
        `${name}: tensor ${tensor} is said to be in ${JSON.stringify(file)}`,
        {
          hint: 'shards must be files beside their index',
        },
      )
    }
  }
  return { weight_map: map as Record<string, string>, metadata: Object(metadata) as Record<string, unknown> }
}

/**
 * Opens every shard of an index. Tensors that a shard has and the index does not list are there too, as in transformers.
 * Throws `not-found` naming a missing shard, `bad-file` when a tensor is not in the shard that should have it, or when
 * two shards have one that the index does not list.
 */
export async function openShards(
  name: string,
  index: ShardIndex,
  open: (file: string) => Promise<ByteSource>,
  options?: ReadOptions,
): Promise<Shards> {
  const files = new Map<string, SafetensorsFile>()
  const close = async () => {
    for (const file of files.values()) await file.close()
  }
  try {
    for (const file of [...new Set(Object.values(index.weight_map))].sort()) {
      files.set(file, await openSafetensors(await openPart(name, file, open), options))
    }
    const homes = new Map<string, SafetensorsFile>()
    for (const [tensor, file] of Object.entries(index.weight_map)) {
      const shard = files.get(file)!
      if (!shard.tensors.has(tensor)) {
        throw new ReallmError('bad-file', `${name}: tensor ${tensor} should be in ${file}, but is not`, {
          hint: 'index and shards do not belong together: download them again',
        })
      }
      homes.set(tensor, shard)
    }
    const listed = new Set(homes.keys())
    for (const [file, shard] of files) {
      for (const tensor of shard.tensors.keys()) {
        if (listed.has(tensor)) continue
        if (homes.has(tensor)) {
          throw new ReallmError('bad-file', `${name}: tensor ${tensor} is in ${file} and in another shard`, {
            hint: 'index and shards do not belong together: download them again',
          })
        }
        homes.set(tensor, shard)
      }
    }
    const home = (tensor: string) => findTensor(homes, tensor, name)
    return {
      files,
      bytes: [...files.values()].reduce((sum, f) => sum + f.source.size, 0),
      tensors: new Map([...homes].map(([tensor, shard]) => [tensor, shard.tensors.get(tensor)!])),
      read: async tensor => home(tensor).read(tensor),
      readFloat32: async (tensor, rows) => home(tensor).readFloat32(tensor, rows),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

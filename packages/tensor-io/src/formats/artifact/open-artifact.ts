import type { ModelFiles, OpenOptions } from '../model-files.ts'
import type { Directory, DirectoryWeights } from '../open/directory.ts'
import { parseModules } from './manifest.ts'
import { artifactOf, decodedStore } from './read.ts'
import { shardSums } from './shard-sums.ts'
import { checkSum } from './verify.ts'

/**
 * The artifact whose configuration and weights were opened, compared with its checksums; given codecs, a store in which
 * its matrices read decoded. Closes the weights when it refuses them.
 */
export async function openArtifact(
  dir: Directory,
  opened: Pick<ModelFiles, 'spec' | 'config' | 'files' | 'readFile'>,
  { sources, ...weights }: DirectoryWeights,
  options: OpenOptions,
): Promise<ModelFiles> {
  try {
    const sums = shardSums(weights.metadata)
    for (const [file, source] of sources) {
      if (options.verify ?? (dir.local && weights.bytes < 1e9))
        await checkSum(dir.name, file, source, sums, options)
    }
    const artifact = artifactOf(dir.name, parseModules(dir.name, opened.config, weights.tensors), weights)
    const { registry } = options
    const store = registry ? decodedStore(dir.name, weights, artifact, registry) : weights
    return { ...opened, ...weights, ...store, kind: 'artifact', artifact }
  } catch (error) {
    await weights.close()
    throw error
  }
}

import { parseJson } from '../../core/json.ts'
import { isArtifact, parseModules } from '../artifact/manifest.ts'
import { artifactOf, decodedStore } from '../artifact/read.ts'
import { checkSize, checkSum, shardSums } from '../artifact/verify.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { openShards, parseShardIndex } from '../safetensors/shards.ts'
import { type ByteSource, readAll } from '../source/source.ts'
import type { TensorStore } from '../store.ts'
import { chooseWeights, indexName, passedOver } from './choose-weights.ts'
import type { Directory } from './directory.ts'

/** The weights in a directory before anybody knows what kind of model they are. */
interface Weights extends TensorStore {
  readonly bytes: number
  readonly metadata: Readonly<Record<string, unknown>>
  readonly sources: ReadonlyMap<string, ByteSource>
}

/**
 * Opens the model in a directory: `config.json` and `model.safetensors` (or its shards, or the only safetensors
 * or GGUF file there is), or, with `options.adapter`, the adapter in it. `weightFile` chooses one file; of an artifact, all
 * files are opened in any case.
 */
export async function openDirectory(
  dir: Directory,
  spec: string,
  options: OpenOptions,
  weightFile?: string,
): Promise<ModelFiles> {
  const readFile = async (name: string) => {
    const source = await dir.open(name)
    try {
      return await readAll(source, options)
    } finally {
      await source.close()
    }
  }
  const { adapter = false } = options
  const config =
    !adapter && weightFile?.endsWith('.gguf') !== true && dir.names.includes('config.json')
      ? parseJson(`${dir.name}: config.json`, await readFile('config.json'))
      : {}
  const wanted = adapter ? 'adapter' : isArtifact(config) ? 'artifact' : 'model'
  const chosen = weightFile ?? chooseWeights(dir, wanted)
  if (chosen.endsWith('.gguf')) {
    const { openGgufNamed } = await import('../gguf/open-named.ts')
    return openGgufNamed(chosen, dir.open, { spec, ...options })
  }
  const passed = passedOver(dir, chosen)
  const opened = {
    spec,
    config,
    files: dir.names.filter(
      name => !/\.(safetensors|index\.json|gguf|bin|pt|pth|onnx|h5|msgpack)$/.test(name),
    ),
    readFile,
    ...(passed !== undefined && { warnings: [passed] }),
  }
  if (wanted === 'artifact') return openArtifact(dir, opened, options)
  const { sources: _, ...weights } = await openWeights(dir, chosen, options)
  return { ...opened, ...weights, kind: weightFile === undefined ? 'huggingface' : 'safetensors' }
}

async function openArtifact(
  dir: Directory,
  opened: Pick<ModelFiles, 'spec' | 'config' | 'files' | 'readFile'>,
  options: OpenOptions,
): Promise<ModelFiles> {
  const { sources, ...weights } = await openWeights(dir, chooseWeights(dir, 'artifact'), options)
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

async function openWeights(dir: Directory, chosen: string, options: OpenOptions): Promise<Weights> {
  if (chosen !== indexName) {
    const { source, ...file } = await openSafetensors(await dir.open(chosen), options)
    return { ...file, bytes: source.size, sources: new Map([[chosen, source]]) }
  }
  const name = `${dir.name}: ${indexName}`
  const source = await dir.open(indexName)
  const index = parseShardIndex(name, parseJson(name, await readAll(source, options)))
  await source.close()
  const sums = shardSums(index.metadata)
  const open = async (file: string) => {
    const shard = await dir.open(file)
    try {
      checkSize(dir.name, file, shard, sums)
      return shard
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

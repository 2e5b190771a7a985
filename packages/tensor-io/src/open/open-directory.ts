import { ReallmError } from '../errors.ts'
import type { ModelFiles, OpenOptions, TensorStore } from '../model.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { openShards, parseShardIndex } from '../safetensors/shards.ts'
import { readAll } from '../source/source.ts'
import type { Directory } from './directory.ts'
import { parseJson } from './json.ts'

const indexName = 'model.safetensors.index.json'

/** The weights in a directory before anybody knows what kind of model they are. */
export interface Weights extends TensorStore {
  readonly bytes: number
  readonly metadata: Readonly<Record<string, unknown>>
}

/**
 * Opens the model in a directory: `config.json` and `model.safetensors` (or its shards, or the only safetensors
 * or GGUF file there is). `weightFile` chooses one file.
 */
export async function openDirectory(
  dir: Directory,
  spec: string,
  options: OpenOptions,
  weightFile?: string,
): Promise<ModelFiles> {
  const chosen = weightFile ?? chooseWeights(dir)
  if (chosen.endsWith('.gguf')) {
    const { openGguf } = await import('../gguf/open.ts')
    return openGguf(await dir.open(chosen), { spec, ...options })
  }
  const readFile = async (name: string) => {
    const source = await dir.open(name)
    try {
      return await readAll(source, options)
    } finally {
      await source.close()
    }
  }
  const config = dir.names.includes('config.json')
    ? parseJson(`${dir.name}: config.json`, await readFile('config.json'))
    : {}
  const weights = await openWeights(dir, chosen, options)
  return {
    ...weights,
    spec,
    kind: weightFile === undefined ? 'huggingface' : 'safetensors',
    config,
    files: dir.names.filter(
      name => !/\.(safetensors|index\.json|gguf|bin|pt|pth|onnx|h5|msgpack)$/.test(name),
    ),
    readFile,
  }
}

function chooseWeights(dir: Directory): string {
  if (dir.names.includes(indexName)) return indexName
  if (dir.names.includes('model.safetensors')) return 'model.safetensors'
  for (const ending of ['.safetensors', '.gguf']) {
    const candidates = dir.names.filter(name => name.endsWith(ending))
    if (candidates.length === 1) return candidates[0]
    if (candidates.length > 1) {
      throw new ReallmError(
        'bad-file',
        `${dir.name}: which of its ${candidates.length} ${ending} files is meant?`,
        {
          hint: `name one: ${candidates.slice(0, 3).join(', ')}${candidates.length > 3 ? ', …' : ''}`,
        },
      )
    }
  }
  const pickled = dir.names.find(name => /\.(bin|pt|pth)$/.test(name))
  throw new ReallmError('not-found', `${dir.name}: there is no model.safetensors in it`, {
    hint: pickled
      ? `${pickled} is a pickle file: save the model as safetensors`
      : 'a model directory has config.json and model.safetensors (or its index and shards)',
  })
}

async function openWeights(dir: Directory, chosen: string, options: OpenOptions): Promise<Weights> {
  if (chosen !== indexName) {
    const file = await openSafetensors(await dir.open(chosen), options)
    return { ...file, bytes: file.source.size }
  }
  const name = `${dir.name}: ${indexName}`
  const source = await dir.open(indexName)
  const index = parseShardIndex(name, parseJson(name, await readAll(source, options)))
  await source.close()
  const shards = await openShards(name, index, file => dir.open(file), options)
  return { ...shards, metadata: index.metadata }
}

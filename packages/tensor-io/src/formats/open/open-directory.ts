import { parseJson } from '../../core/json.ts'
import { isArtifact } from '../artifact/is-artifact.ts'
import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { openSafetensors } from '../safetensors/open.ts'
import { readAll } from '../source/source.ts'
import { chooseWeights, indexName, passedOver } from './choose-weights.ts'
import type { Directory, DirectoryWeights } from './directory.ts'

/**
 * Opens the model in a directory: `config.json` and `model.safetensors` (or its shards, or the only safetensors,
 * GGUF or ONNX file there is), or, with `options.adapter`, the adapter in it. `weightFile` chooses one file; of an artifact, all
 * files are opened in any case. Weights that another tool quantised read decoded where their format is known.
 */
export async function openDirectory(
  dir: Directory,
  spec: string,
  options: OpenOptions,
  weightFile?: string,
): Promise<ModelFiles> {
  if (options.publicKey !== undefined) {
    const { publicKey, ...rest } = options
    const { signedDirectory } = await import('../artifact/signed-directory.ts')
    // all that is read is compared with the signature, once
    return openDirectory(
      await signedDirectory(dir, publicKey, options),
      spec,
      { ...rest, verify: false },
      weightFile,
    )
  }
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
      name => !/\.(safetensors|index\.json|gguf|bin|pt|pth|onnx|onnx_data|h5|msgpack)$/.test(name),
    ),
    readFile,
    ...(passed !== undefined && { warnings: [passed] }),
  }
  if (chosen.endsWith('.onnx')) {
    const { openOnnx } = await import('../onnx/open-onnx.ts')
    return openOnnx(dir, opened, chosen)
  }
  if (wanted === 'artifact') {
    const [{ openArtifact }, weights] = await Promise.all([
      import('../artifact/open-artifact.ts'),
      openWeights(dir, chooseWeights(dir, 'artifact'), options),
    ])
    return openArtifact(dir, opened, weights, options)
  }
  const { sources: _, ...weights } = await openWeights(dir, chosen, options)
  const kind = weightFile === undefined ? 'huggingface' : 'safetensors'
  if (config.quantization_config == null) return { ...opened, ...weights, kind }
  const { openQuantised } = await import('../quantised/open-quantised.ts')
  try {
    const { store, quantised } = openQuantised(dir.name, config, weights) ?? {}
    return { ...opened, ...weights, ...store, kind, quantised }
  } catch (error) {
    await weights.close()
    throw error
  }
}

async function openWeights(dir: Directory, chosen: string, options: OpenOptions): Promise<DirectoryWeights> {
  if (chosen !== indexName) {
    const { source, ...file } = await openSafetensors(await dir.open(chosen), options)
    return { ...file, bytes: source.size, sources: new Map([[chosen, source]]) }
  }
  const { openIndexed } = await import('./open-indexed.ts')
  return openIndexed(dir, options)
}

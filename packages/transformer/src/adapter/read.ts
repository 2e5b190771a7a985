import { openFileSource, openSafetensors, ReallmError, readAll } from '@reallm/tensor-io'
import { type Adapter, configName, parseAdapter, weightsName } from '@reallm/tensor-io/models'

export { parseAdapter }

/**
 * Reads an adapter directory in PEFT's layout (`adapter_config.json`, `adapter_model.safetensors`).
 *
 * @throws `unsupported` for adapters other than LoRA, rsLoRA and DoRA on linear layers
 * @example
 * const model = adapted(await openWeights('base'), await readAdapter('my-adapter'))
 */
export async function readAdapter(directory: string): Promise<Adapter> {
  const source = await openFileSource(`${directory}/${configName}`)
  const text = new TextDecoder().decode(await readAll(source))
  await source.close()
  let config: unknown
  try {
    config = JSON.parse(text)
  } catch (cause) {
    throw new ReallmError('bad-file', `${directory}: ${configName} is not JSON`, { cause })
  }
  const file = await openSafetensors(await openFileSource(`${directory}/${weightsName}`))
  try {
    return await parseAdapter(config as Record<string, unknown>, file)
  } finally {
    await file.close()
  }
}

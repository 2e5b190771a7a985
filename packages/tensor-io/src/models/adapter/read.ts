import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import type { ModelFiles, OpenOptions } from '../../formats/model-files.ts'
import { openModel } from '../../formats/open/open-model.ts'
import { type Adapter, configName } from './adapter.ts'
import { parseAdapter } from './parse.ts'

/**
 * Reads an adapter in PEFT's layout (`adapter_config.json`, `adapter_model.safetensors`), whatever lies beside it.
 *
 * @param where anything `openModel` takes, or files that it opened with `adapter`
 * @throws `unsupported` for adapters other than LoRA, rsLoRA and DoRA on linear layers
 * @example
 * const model = adapted(await openWeights('base'), await readAdapter('my-adapter'))
 */
export async function readAdapter(where: string | ModelFiles, options: OpenOptions = {}): Promise<Adapter> {
  const files = typeof where === 'string' ? await openModel(where, { ...options, adapter: true }) : where
  try {
    if (!files.files.includes(configName)) {
      throw new ReallmError('not-found', `${files.spec}: there is no ${configName} in it`, {
        hint: 'an adapter in PEFT layout has that file beside its weights',
      })
    }
    const config = parseJson(`${files.spec}: ${configName}`, await files.readFile(configName))
    return await parseAdapter(config, files)
  } finally {
    if (typeof where === 'string') await files.close()
  }
}

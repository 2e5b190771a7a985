import { dtypes } from '../../core/dtype.ts'
import { ReallmError } from '../../core/errors.ts'
import type { ModelFiles } from '../../formats/model-files.ts'
import { plainName } from '../plain-name.ts'
import type { StoredAs } from '../read-stack.ts'
import type { TransformerConfig } from '../transformer-config.ts'
import { openOriginal } from './open-original.ts'
import { isInside, unusedTensors } from './unused-tensors.ts'

/** Stored types that are numbers by themselves; blocks of GGUF and matrices of artifacts come decoded. */
const floats = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2']

/**
 * Compares the tensors that a model needs with those that are there, and returns the ones that it does not use.
 *
 * @param storedAs what each tensor is stored as, by name
 * @throws `bad-file` naming tensors that are missing, with the reason, or misshapen
 * @throws `unsupported` for stored codes without their scales, and for tensors that would change the result
 */
export async function checkTensors(
  files: ModelFiles,
  storedAs: ReadonlyMap<string, readonly StoredAs[]>,
  { layers, tiedHead }: Pick<TransformerConfig, 'layers' | 'tiedHead'>,
): Promise<string[]> {
  const { spec } = files
  const isMissing = (stored: readonly StoredAs[]) => stored.some(({ name }) => !shapeOf(files, name))
  const missing = [...storedAs].filter(([, stored]) => isMissing(stored)).map(([name]) => name)
  const used = new Map([...storedAs.values()].flat().map(stored => [stored.name, stored]))
  // a head beside a tied embedding was compared with it when the configuration was read
  const unused = unusedTensors(files, used.keys()).filter(
    name => !tiedHead || plainName(name) !== 'lm_head.weight',
  )
  if (missing.length > 0) {
    const { missingTensors } = await import('./explain-tensors.ts')
    throw missingTensors({ spec, missing, wanted: storedAs.size, unused, layers })
  }
  for (const { name, codes } of used.values()) {
    const dtype = files.tensors.get(name)?.dtype
    if (dtype !== undefined && dtype in dtypes && !floats.includes(dtype) && !codes) {
      throw new ReallmError(
        'unsupported',
        `${spec}: ${name} is stored as ${dtype}: it is already quantised`,
        {
          hint: openOriginal,
        },
      )
    }
  }
  const inside = unused.filter(name => isInside(plainName(name), layers))
  if (inside.length > 0) {
    const { tensorsWithoutPlace } = await import('./explain-tensors.ts')
    throw tensorsWithoutPlace(spec, inside)
  }
  for (const { name, shape: want } of used.values()) {
    const shape = shapeOf(files, name)!
    if (shape.join() !== want.join()) {
      throw new ReallmError(
        'bad-file',
        `${spec}: ${name} [${shape.join('×')}] should be [${want.join('×')}] by the configuration`,
        { hint: 'configuration and weights do not belong together' },
      )
    }
  }
  return unused
}

/** Compressed matrices are there even where nothing can decode them. */
const shapeOf = (files: ModelFiles, name: string): readonly number[] | undefined =>
  files.tensors.get(name)?.shape ?? files.artifact?.modules.get(name.replace(/\.weight$/, ''))?.shape

import { ReallmError } from '../errors.ts'
import type { TensorInfo } from '../model.ts'
import { parseStoredMatrix, partNames, type StoredMatrix } from './stored-matrix.ts'

/** One compressed matrix of an artifact. */
export interface ArtifactModule extends StoredMatrix {
  /** Bits per weight, every stored tensor counted. */
  readonly bits: number
}

export const artifactVersion = 1

/** Whether a `config.json` is that of an artifact of this project. */
export const isArtifact = (config: Readonly<Record<string, unknown>>): boolean =>
  (config.quantization_config as { quant_method?: unknown } | null | undefined)?.quant_method === 'reallm'

/**
 * The compressed matrices that an artifact's `config.json` lists, checked against the tensors that are there.
 * Throws `unsupported` for an unknown version, `bad-file` naming the module otherwise.
 */
export function parseModules(
  where: string,
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, TensorInfo>,
): Map<string, ArtifactModule> {
  const { version, modules } = config.quantization_config as { version?: unknown; modules?: unknown }
  if (version !== artifactVersion) {
    throw new ReallmError(
      'unsupported',
      `${where}: artifact version ${String(version)}; version 1 is known`,
      {
        hint: 'update reallm, or compress the model again',
      },
    )
  }
  const parsed = new Map<string, ArtifactModule>()
  for (const [name, entry] of Object.entries(Object(modules) as Record<string, unknown>)) {
    const stored = parseStoredMatrix(`${where}: ${name}`, entry)
    for (const part of partNames(stored)) {
      if (tensors.has(`${name}.${part}`)) continue
      throw new ReallmError(
        'bad-file',
        `${where}: ${name} [${stored.shape.join('×')}]: its part ${part} is missing`,
        {
          hint: 'config.json and weights do not belong together: compress the model again, or download it again',
        },
      )
    }
    const { bits } = entry as { bits?: unknown }
    parsed.set(name, { ...stored, bits: typeof bits === 'number' ? bits : Number.NaN })
  }
  return parsed
}

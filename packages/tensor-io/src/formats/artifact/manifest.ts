import { ReallmError } from '../../core/errors.ts'
import type { TensorInfo } from '../store.ts'
import { parseStoredMatrix, partNames, type StoredMatrix } from './stored-matrix.ts'

/** One compressed matrix of an artifact. */
export interface ArtifactModule extends StoredMatrix {
  /** Bits per weight, every stored tensor counted, those shared with other matrices by their share. */
  readonly bits: number
  /** Parts that are the same in several matrices and stored once: the full name of their tensor. */
  readonly shared?: Readonly<Record<string, string>>
}

/** The tensor's name of each part of a module. */
export const tensorsOf = (name: string, module: Pick<ArtifactModule, keyof StoredMatrix | 'shared'>) =>
  new Map(partNames(module).map(part => [part, module.shared?.[part] ?? `${name}.${part}`]))

/** The version of the artifacts that are written, and the only one that is read; every change of a stored layout raises it. */
export const artifactVersion = 1

/**
 * The compressed matrices that an artifact's `config.json` lists, checked against the tensors that are there.
 * Throws `unsupported` for an unknown version, `bad-file` for none, and naming the module otherwise.
 */
export function parseModules(
  where: string,
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, TensorInfo>,
): Map<string, ArtifactModule> {
  const { version, modules } = config.quantization_config as { version?: unknown; modules?: unknown }
  if (version !== artifactVersion) throw unreadVersion(where, version)
  const parsed = new Map<string, ArtifactModule>()
  for (const [name, entry] of Object.entries(Object(modules) as Record<string, unknown>)) {
    const { bits, shared } = Object(entry) as { bits?: unknown; shared?: unknown }
    const stored = {
      ...parseStoredMatrix(`${where}: ${name}`, entry),
      bits: typeof bits === 'number' ? bits : Number.NaN,
      ...(shared !== undefined && { shared: Object(shared) as Record<string, string> }),
    }
    for (const [part, tensor] of tensorsOf(name, stored)) {
      if (tensors.has(tensor)) continue
      throw new ReallmError(
        'bad-file',
        `${where}: ${name} [${stored.shape.join('×')}]: its part ${part} is missing`,
        {
          hint: 'config.json and weights do not belong together: compress the model again, or download it again',
        },
      )
    }
    parsed.set(name, stored)
  }
  return parsed
}

function unreadVersion(where: string, version: unknown): ReallmError {
  if (version === undefined) {
    return new ReallmError('bad-file', `${where}: quantization_config of its config.json has no version`, {
      hint: 'compress the model again, or download it again',
    })
  }
  const later = typeof version === 'number' && version > artifactVersion
  return new ReallmError(
    'unsupported',
    `${where}: artifact version ${String(version)}; this release reads version ${artifactVersion}`,
    { hint: later ? 'a later release reads it: npm install reallm@latest' : 'compress the model again' },
  )
}

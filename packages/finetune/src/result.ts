import {
  compactTensor,
  createArtifactWriter,
  type Matrix,
  readArtifact,
  type Tensor,
} from '@reallm/tensor-io'
import {
  type Adapter,
  type AdapterModule,
  type ModelWeights,
  tf,
  type Weights,
  writeAdapter,
} from '@reallm/transformer'
import { toTensor } from '@reallm/transformer/adamw'
import { withRowScales } from './lowrank/row-scaled.ts'
import { rowNorms, type Trainable } from './lowrank/trainable.ts'
import { type FactorStore, withoutRowScales } from './student.ts'

/** A trained linear layer: `diag(rowScale) (Ŵ + left · right)`. */
export interface TunedModule {
  /** L₁ `[out, rank]`, LoRA's scaling included. */
  readonly left: Matrix
  /** L₂ `[rank, in]`. */
  readonly right: Matrix
  readonly rowScale?: Float32Array | undefined
}

/** What was trained, as plain numbers. */
export interface Tuned {
  readonly modules: ReadonlyMap<string, TunedModule>
  /** Norms' weights by their full names. */
  readonly norms: ReadonlyMap<string, Tensor<'F32'>>
}

/** An adapter in memory that can be saved in PEFT's layout. */
export interface TunedAdapter extends Adapter {
  save(directory: string): Promise<void>
}

/** Reads the trained values; DoRA's magnitudes become row factors, for which `base` has the frozen weights. */
export async function tunedOf(parts: Trainable, base: Weights): Promise<Tuned> {
  const modules = new Map<string, TunedModule>()
  for (const { name, shape, rank, scaling } of parts.modules) {
    const values = (part: string) => parts.parameters.get(`${name}.${part}`)
    const [a, b] = [await toTensor(values('lora_A')!), await toTensor(values('lora_B')!)]
    const left = { rows: shape[0], cols: rank, data: b.data.map(v => v * scaling) }
    const right = { rows: rank, cols: shape[1], data: a.data }
    const scale = values('row_scale') ?? magnitudeFactor(parts, base, name, scaling)
    modules.set(name, { left, right, rowScale: scale && (await toTensor(scale)).data })
    if (scale && scale !== values('row_scale')) scale.dispose()
  }
  const norms = new Map<string, Tensor<'F32'>>()
  for (const [name, p] of parts.parameters) if (/norm\.weight$/.test(name)) norms.set(name, await toTensor(p))
  return { modules, norms }
}

function magnitudeFactor(parts: Trainable, base: Weights, name: string, scaling: number) {
  const magnitude = parts.parameters.get(`${name}.magnitude`)
  if (!magnitude) return undefined
  const [a, b] = ['lora_A', 'lora_B'].map(part => parts.parameters.get(`${name}.${part}`)!)
  return tf.tidy(() => magnitude.div(rowNorms(base[`${name}.weight`], a, b, scaling)))
}

/**
 * The trained parts as an adapter of the model `base`; row factors and magnitudes become DoRA's.
 * Norms have no place in PEFT's layout.
 */
export async function adapterOf(parts: Trainable, base: Weights, name: string): Promise<TunedAdapter> {
  const modules = new Map<string, AdapterModule>()
  for (const { name: module, scaling } of parts.modules) {
    const value = (part: string) => parts.parameters.get(`${module}.${part}`)
    const [a, b] = [value('lora_A')!, value('lora_B')!]
    const rowScale = value('row_scale')
    const magnitude = rowScale
      ? tf.tidy(() => rowScale.mul(rowNorms(base[`${module}.weight`], a, b, scaling)))
      : value('magnitude')
    modules.set(module, {
      a: await toTensor(a),
      b: await toTensor(b),
      scaling,
      magnitude: magnitude && (await toTensor(magnitude)),
    })
    if (rowScale) magnitude?.dispose()
  }
  const adapter: Adapter = { modules, base: name }
  return { ...adapter, save: directory => writeAdapter(directory, adapter) }
}

/** Options of saving what was learnt. */
export interface SaveOptions {
  /** The artifact that was tuned. */
  readonly model: ModelWeights
  readonly store: FactorStore
  /** Bits of each entry of the factors: 1 to 8, or 16. Default 8. */
  readonly bits?: number | undefined
  /** Contents of `reallm-report.json` and of the model card, which may depend on the size of the weight files in bytes. */
  readonly report?: unknown | undefined
  readonly card?: string | ((bytes: number) => string) | undefined
}

/**
 * Writes the tuned artifact: codes as they were, trained factors on few bits, row factors and norms in place.
 *
 * @example
 * await saveTuned('out-tuned', tuned, { model, store: { factorsOf, withFactors: withLowRank } })
 */
export async function saveTuned(directory: string, tuned: Tuned, options: SaveOptions): Promise<void> {
  const { files } = options.model
  const { modules, readEncoded } = readArtifact(files)
  const writer = await createArtifactWriter(directory, { config: files.config, filesOf: files })
  try {
    for (const name of modules.keys()) {
      const stored = await readEncoded(name)
      const trained = tuned.modules.get(name)
      if (!trained) {
        await writer.addMatrix(name, stored)
        continue
      }
      const joined = options.store.withFactors(withoutRowScales(stored), trained, options.bits ?? 8)
      await writer.addMatrix(name, trained.rowScale ? withRowScales(joined, trained.rowScale) : joined)
    }
    for (const name of files.tensors.keys()) {
      const module = name.replace(/\.weight$/, '')
      if (modules.has(module)) continue
      const norm = tuned.norms.get(name)
      await writer.addTensor(name, norm ? compactTensor(norm.shape, norm.data) : await files.read(name))
    }
    await writer.finish(options.report, options.card)
  } catch (cause) {
    await writer.abort()
    throw cause
  }
}

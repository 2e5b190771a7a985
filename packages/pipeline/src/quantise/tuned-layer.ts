import type { Tensor } from '@reallm/tensor-io'
import { type Key, mappedKey } from '../checkpoint/keys.ts'

/** What the training of a stored layer changed. */
export interface TunedLayer {
  /** Parts that replace a stored matrix's, by module; dtypes and shapes are the same. */
  readonly parts: ReadonlyMap<string, Readonly<Record<string, Tensor>>>
  /** Norms, by the names of their tensors. */
  readonly norms: ReadonlyMap<string, Tensor>
}

/** Tensors of parts are called `module:part`, those of norms by their names. */
export const tunedLayerKey = (layer: number): Key<TunedLayer> =>
  mappedKey(
    `tuned/layer-${layer}.safetensors`,
    ({ parts, norms }) => {
      const tensors: Record<string, Tensor> = Object.fromEntries(norms)
      for (const [module, of] of parts) {
        for (const [part, tensor] of Object.entries(of)) tensors[`${module}:${part}`] = tensor
      }
      return tensors
    },
    tensors => {
      const parts = new Map<string, Record<string, Tensor>>()
      const norms = new Map<string, Tensor>()
      for (const [name, tensor] of Object.entries(tensors)) {
        const [module, part] = name.split(':')
        if (part === undefined) norms.set(name, tensor)
        else parts.set(module, { ...parts.get(module), [part]: tensor })
      }
      return { parts, norms }
    },
  )

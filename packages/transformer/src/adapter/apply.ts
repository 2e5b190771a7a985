import { ReallmError, type Tensor, tensor } from '@reallm/tensor-io'
import type { Adapter, AdapterModule, ModelWeights } from '@reallm/tensor-io/models'
import { linear } from '../ops.ts'
import { type TfTensor, tf } from '../tf.ts'
import type { Hooks, Weights } from '../transformer.ts'

/** An adapter on the backend, ready to be put to use or left out at each call. */
export interface LoadedAdapter {
  readonly hooks: Hooks
  dispose(): void
}

/**
 * Loads an adapter as hooks, so that one base serves many adapters.
 *
 * @param weights the base; DoRA takes row norms from it
 * @example
 * const { hooks } = loadAdapter(adapter, weights)
 * const logits = forward(config, weights, ids, hooks)
 */
export function loadAdapter(adapter: Adapter, weights: Weights): LoadedAdapter {
  const loaded = new Map<string, { a: TfTensor; b: TfTensor; scale?: TfTensor }>()
  for (const [name, module] of adapter.modules) {
    const parts = tf.tidy(() => {
      const a = upload(module.a)
      const b = upload(module.b).mul(module.scaling) as TfTensor
      if (!module.magnitude) return { a, b }
      const w = weights[`${name}.weight`]
      if (!w)
        throw new ReallmError('not-found', `the DoRA adapter of ${name} needs its base weight in memory`)
      const norms = tf.norm(w.add(tf.matMul(b, a)), 2, 1)
      return { a, b, scale: upload(module.magnitude).div(norms) as TfTensor }
    })
    loaded.set(name, parts)
  }
  const hooks: Hooks = {
    linear(module, x, base) {
      const parts = loaded.get(module)
      if (!parts) return base()
      const y = base().add(linear(linear(x, parts.a), parts.b))
      return parts.scale ? y.mul(parts.scale) : y
    },
  }
  return { hooks, dispose: () => tf.dispose([...loaded.values()] as never) }
}

const upload = ({ data, shape }: Tensor<'F32'>): TfTensor => tf.tensor(data, [...shape], 'float32')

/**
 * A model that reads as if the adapter had been merged into its weights.
 *
 * @throws `bad-option` when the adapter is for other modules or shapes than the model's, or for a tied head
 * @example
 * const model = adapted(await openWeights('base'), await readAdapter('my-adapter'))
 */
export function adapted(model: ModelWeights, adapter: Adapter): ModelWeights {
  for (const [name, { a, b }] of adapter.modules) {
    const shape = model.shapes.get(`${name}.weight`)
    const change = [b.shape[0], a.shape[1]]
    if (shape?.join() !== change.join()) {
      const own = shape ? `[${shape.join('×')}]` : 'no such module'
      throw new ReallmError(
        'bad-option',
        `the adapter changes ${name} [${change.join('×')}], the model has ${own}`,
        {
          hint: adapter.base ? `it was trained on ${adapter.base}` : 'it was trained on another model',
        },
      )
    }
  }
  return {
    ...model,
    async read(name, rows) {
      const module = adapter.modules.get(name.replace(/\.weight$/, ''))
      if (!module || !name.endsWith('.weight')) return model.read(name, rows)
      const { shape, data } = mergeAdapter(await model.read(name), module)
      const [from, to] = rows ?? [0, shape[0]]
      return tensor('F32', [to - from, shape[1]], data.slice(from * shape[1], to * shape[1]))
    },
  }
}

/** The weight `[out, in]` of one linear layer with its adapter merged in. */
export function mergeAdapter(
  weight: Tensor<'F32'>,
  { a, b, scaling, magnitude }: AdapterModule,
): Tensor<'F32'> {
  const [out, width] = weight.shape
  const rank = a.shape[0]
  const merged = Float32Array.from(weight.data)
  for (let row = 0; row < out; row++) {
    const values = merged.subarray(row * width, (row + 1) * width)
    for (let k = 0; k < rank; k++) {
      const factor = scaling * b.data[row * rank + k]
      for (let col = 0; col < width; col++) values[col] += factor * a.data[k * width + col]
    }
    if (magnitude) {
      const scale = magnitude.data[row] / Math.sqrt(values.reduce((sum, w) => sum + w * w, 0))
      for (let col = 0; col < width; col++) values[col] *= scale
    }
  }
  return tensor('F32', weight.shape, merged)
}

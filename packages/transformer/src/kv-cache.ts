import { type TfTensor, tf } from './tf.ts'

/** Keys and values of the positions a model has seen, so that the next ones need not compute them again. */
export interface KvCache {
  /** Positions that layer `i` has seen. */
  length(i: number): number
  /** Adds `[batch · kvHeads, positions, headDim]` to layer `i` and returns all of its keys and values. */
  append(i: number, keys: TfTensor, values: TfTensor): [TfTensor, TfTensor]
  dispose(): void
}

/** An empty cache; `dispose` it when the text is done. */
export function createKvCache(): KvCache {
  const layers: [TfTensor, TfTensor][] = []
  return {
    length: i => layers[i]?.[0].shape[1] ?? 0,
    append(i, keys, values) {
      const old = layers[i]
      const grown = (seen: TfTensor | undefined, more: TfTensor) =>
        tf.keep(seen ? tf.concat([seen, more], 1) : more.clone())
      layers[i] = [grown(old?.[0], keys), grown(old?.[1], values)]
      tf.dispose(old ?? [])
      return layers[i]
    },
    dispose: () => tf.dispose(layers.splice(0)),
  }
}

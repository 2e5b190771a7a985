import { type TfTensor, tf } from './tf.ts'

/** What a model keeps of the positions it has seen, so that the next ones need not compute them again. */
export interface KvCache {
  /** Positions that layer `i` has seen. */
  length(i: number): number
  /** Adds `[batch · kvHeads, positions, headDim]` to layer `i`, which attends, and returns all of its keys and values. */
  append(i: number, keys: TfTensor, values: TfTensor): [TfTensor, TfTensor]
  /** What layer `i`, which does not attend, has kept; undefined before its first position. */
  state(i: number): readonly TfTensor[] | undefined
  /** Keeps another state in its place, after `positions` more. */
  advance(i: number, positions: number, state: readonly TfTensor[]): void
  dispose(): void
}

/** An empty cache; `dispose` it when the text is done. */
export function createKvCache(): KvCache {
  const layers: { length: number; tensors: TfTensor[] }[] = []
  const replace = (i: number, length: number, tensors: readonly TfTensor[]) => {
    const kept = tensors.map(tensor => tf.keep(tensor))
    tf.dispose(layers[i]?.tensors ?? [])
    layers[i] = { length, tensors: kept }
    return kept
  }
  return {
    length: i => layers[i]?.length ?? 0,
    append(i, keys, values) {
      const [oldKeys, oldValues] = layers[i]?.tensors ?? []
      const grown = (seen: TfTensor | undefined, more: TfTensor) =>
        seen ? tf.concat([seen, more], 1) : more.clone()
      const all = [grown(oldKeys, keys), grown(oldValues, values)]
      const [k, v] = replace(i, all[0].shape[1]!, all)
      return [k, v]
    },
    state: i => layers[i]?.tensors,
    advance(i, positions, state) {
      const length = (layers[i]?.length ?? 0) + positions
      replace(
        i,
        length,
        state.map(tensor => tensor.clone()),
      )
    },
    dispose: () => tf.dispose(layers.splice(0).map(({ tensors }) => tensors)),
  }
}

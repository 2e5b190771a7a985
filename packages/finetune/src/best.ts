import type { Tensor } from '@reallm/tensor-io'
import { assign, type Parameters, toTensor } from '@reallm/transformer/adamw'

/** Remembers the weights with the lowest validation loss. */
export interface BestWeights {
  readonly loss: number | undefined
  /** Validations since the best one. */
  readonly missed: number
  /** Takes a copy of the weights when `loss` is a new best. */
  offer(loss: number): Promise<void>
  /** Puts the best weights back and returns their loss. */
  use(): number | undefined
  /** The copy, named `b.<parameter>`. */
  tensors(): Map<string, Tensor<'F32'>>
  restore(notes: Readonly<Record<string, unknown>>, copy: ReadonlyMap<string, Tensor<'F32'>>): void
}

/** Early stopping's memory; with `keep` false it counts only and copies nothing. */
export function bestWeights(parameters: Parameters, keep: boolean): BestWeights {
  let copy = new Map<string, Tensor<'F32'>>()
  let best: number | undefined
  let missed = 0
  return {
    get loss() {
      return best
    },
    get missed() {
      return missed
    },
    async offer(loss) {
      if (best !== undefined && loss >= best) {
        missed++
        return
      }
      best = loss
      missed = 0
      if (!keep) return
      for (const [name, p] of parameters) copy.set(name, await toTensor(p))
    },
    use() {
      if (keep && best !== undefined) for (const [name, p] of parameters) assign(p, copy, name)
      return best
    },
    tensors: () => new Map([...copy].map(([name, t]) => [`b.${name}`, t])),
    restore(notes, saved) {
      best = notes.best as number | undefined
      missed = (notes.missed as number | undefined) ?? 0
      copy = new Map(saved)
    },
  }
}

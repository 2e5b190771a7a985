import { sizeOf } from '../core/tensor.ts'
import type { ExpertStack, FeedForward } from './layer-spec.ts'
import type { TransformerConfig } from './transformer-config.ts'

/** Where a tensor of an expert lies in a stack of all experts' tensors. */
export interface InStack {
  /** Name of the stored tensor. */
  readonly name: string
  /** Shape of the stored tensor: `[experts, …]`. */
  readonly shape: readonly number[]
  readonly expert: number
  /** Its rows are `from`, `from + step`, … of the expert's. */
  readonly from: number
  readonly step: number
  /** The stored matrices are `[columns, rows]`. */
  readonly transposed: boolean
}

/** Where the tensors of experts lie in stacks, by their names. */
export function inStacks(ffn: FeedForward, stacks: readonly ExpertStack[]): Map<string, InStack> {
  const places = new Map<string, InStack>()
  if (ffn.kind !== 'experts') return places
  const { length: experts } = ffn.experts
  for (const { parts, weight, bias, transposed, interleaved } of stacks) {
    for (const [expert, { gate, up, down }] of ffn.experts.entries()) {
      const modules = { gate: gate.module, up: up.module, down }
      for (const [k, part] of parts.entries()) {
        const { name, shape, bias: hasBias } = modules[part]
        const [out, input] = shape
        const rows = parts.length * out
        const rowsAt = { expert, from: interleaved ? k : k * out, step: interleaved ? parts.length : 1 }
        const whole = transposed ? [experts, input, rows] : [experts, rows, input]
        places.set(`${name}.weight`, { name: weight, shape: whole, ...rowsAt, transposed })
        if (!hasBias || bias === undefined) continue
        places.set(`${name}.bias`, { name: bias, shape: [experts, rows], ...rowsAt, transposed: false })
      }
    }
  }
  return places
}

/**
 * Copies a tensor of `shape` out of its expert's stored values, or into them (`to`).
 *
 * @param stored the expert's part of the stack, `shape` without its first axis
 */
export function copyInStack(
  { from, step, transposed }: Pick<InStack, 'from' | 'step' | 'transposed'>,
  [rows, cols = 1]: readonly number[],
  values: Float32Array,
  stored: Float32Array,
  direction: 'to' | 'from',
): void {
  const storedRows = stored.length / cols
  for (let r = 0; r < rows; r++) {
    const row = from + r * step
    for (let c = 0; c < cols; c++) {
      const at = transposed ? c * storedRows + row : row * cols + c
      if (direction === 'from') values[r * cols + c] = stored[at]
      else stored[at] = values[r * cols + c]
    }
  }
}

/** A tensor as it is stored. */
export interface StoredValues {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array<ArrayBuffer>
}

/** Puts stacks together out of their experts' tensors, given in any order; those of one layer are in memory at a time. */
export function stackBuilder(places: ReadonlyMap<string, InStack>) {
  const missing = new Map<string, number>()
  for (const { name } of places.values()) missing.set(name, (missing.get(name) ?? 0) + 1)
  const unfinished = new Map<string, Float32Array<ArrayBuffer>>()
  return {
    /** What can be stored with this tensor: itself, or a stack that is complete with it. */
    add({ name, shape, values }: StoredValues): StoredValues | undefined {
      const place = places.get(name)
      if (!place) return { name, shape, values }
      const stack = unfinished.get(place.name) ?? new Float32Array(sizeOf(place.shape))
      const size = stack.length / place.shape[0]
      copyInStack(place, shape, values, stack.subarray(place.expert * size, (place.expert + 1) * size), 'to')
      const left = missing.get(place.name)! - 1
      missing.set(place.name, left)
      if (left > 0) unfinished.set(place.name, stack)
      else unfinished.delete(place.name)
      return left > 0 ? undefined : { name: place.name, shape: place.shape, values: stack }
    },
  }
}

/** Where the tensors of a model lie in stacks as a Hugging Face directory stores it, by their names. */
export const storedStacks = ({ layerSpecs }: TransformerConfig): Map<string, InStack> =>
  new Map(layerSpecs.flatMap(({ ffn }) => (ffn.kind === 'experts' ? [...inStacks(ffn, ffn.stacks)] : [])))

import { ReallmError, random, seedFor } from '@reallm/tensor-io'
import { linear, linearModules, type ModelWeights, type TfTensor, tf, valuesOf } from '@reallm/transformer'
import type { TfVariable } from '@reallm/transformer/adamw'
import type { Tunable } from '../lowrank/forward.ts'
import { type Downcast, downcast, gridRange, type HeldWeights } from './downcast.ts'
import { roundClip } from './straight-through.ts'

/** Options of LR-QAT. */
export interface LrQatOptions {
  /** 2 to 8, for all modules or by module; the grid is signed, with one step per row. */
  readonly bits: number | ((module: string) => number)
  /** Rank of A and B; `'full'` trains every weight instead (full quantisation-aware training). Default 8. */
  readonly rank?: number | 'full' | undefined
  /** The product is scaled by α / rank; default: rank. */
  readonly alpha?: number | undefined
  /** How the frozen weights are kept; default `fp16`. */
  readonly downcast?: Downcast | undefined
  readonly seed?: number | undefined
}

/** A matrix on its grid: `diag(steps) · codes`. */
export interface GridMatrix {
  readonly rows: number
  readonly cols: number
  /** Signed integers of `bits`, row-major. */
  readonly codes: Int8Array
  /** One step per row. */
  readonly steps: Float32Array
}

/** A model in training by LR-QAT: a low-rank change that is rounded with its weights. */
export interface LrQat extends Tunable {
  /** Bytes of the frozen weights as they are kept. */
  readonly frozenBytes: number
  /** Rounds the trained weights: what inference needs, without A and B. */
  merge(): Map<string, GridMatrix>
  dispose(): void
}

/**
 * Low-rank quantisation-aware training (LR-QAT, arXiv 2406.06385): every linear layer of the blocks computes with
 * `Ŵ = s · clip(⌊Φ(W/s₀) + (α/r) A B⌉)`, so that A and B end up inside the integers and cost nothing afterwards. Use it
 * with gradient checkpointing: then only one block's weights exist in float32 at a time. Train by `tuneEndToEnd`; its
 * `base` needs embedding, norms and head only (`loadEmbeddingsAndHead` and the norms of the blocks).
 *
 * @throws `bad-option` for bits outside 2 … 8
 * @example
 * const parts = await lrQat(model, { bits: 3, rank: 8, downcast: 'fixed8' })
 * await tuneEndToEnd({ config, base, parts, sequences, gradientCheckpointing: true })
 * const integers = parts.merge()
 */
export async function lrQat(model: ModelWeights, options: LrQatOptions): Promise<LrQat> {
  const { rank = 8, seed = 0, downcast: kind = 'fp16' } = options
  const ranges = new Map<string, ReturnType<typeof gridRange>>()
  const parameters = new Map<string, TfVariable>()
  const held = new Map<string, HeldWeights>()
  const shapes = new Map<string, readonly [number, number]>()
  const firstSteps = new Map<string, TfTensor>()
  const blockOf = new Map<string, number>()
  const add = (name: string, block: number, value: () => TfTensor) => {
    parameters.set(
      name,
      tf.tidy(() => tf.variable(value())),
    )
    blockOf.set(name, block)
  }

  for (let block = 0; block < model.config.layers; block++) {
    for (const { name, shape } of linearModules(model.config, block)) {
      const bits = typeof options.bits === 'number' ? options.bits : options.bits(name)
      if (!Number.isInteger(bits) || bits < 2 || bits > 8) {
        throw new ReallmError('bad-option', `LR-QAT on ${bits} bits is not possible`, { hint: 'use 2 to 8' })
      }
      ranges.set(name, gridRange(bits))
      const { data } = await model.read(`${name}.weight`)
      const steps = rowSteps(data, shape, bits)
      const scaled = data.map((w, i) => w / steps[Math.floor(i / shape[1])])
      shapes.set(name, shape)
      firstSteps.set(name, tf.tensor1d(steps))
      // in units of the first one, so that one learning rate fits every row
      add(`${name}.step`, block, () => tf.ones([shape[0]]))
      if (rank === 'full') {
        add(`${name}.latent`, block, () => tf.tensor2d(scaled, [...shape]))
        continue
      }
      held.set(name, downcast(scaled, kind, bits))
      const rng = random(seedFor(seed, name))
      const bound = 1 / Math.sqrt(shape[1])
      const a = Float32Array.from({ length: rank * shape[1] }, () => (2 * rng.uniform() - 1) * bound)
      add(`${name}.lora_A`, block, () => tf.tensor2d(a, [rank, shape[1]]))
      add(`${name}.lora_B`, block, () => tf.zeros([shape[0], rank]))
    }
  }
  const scaling = rank === 'full' ? 1 : (options.alpha ?? rank) / rank

  /** Weights in steps, before rounding. */
  function latent(name: string, values: Readonly<Record<string, TfTensor>>): TfTensor {
    const frozen = held.get(name)
    if (!frozen) return values[`${name}.latent`]
    const product = tf.matMul(values[`${name}.lora_B`], values[`${name}.lora_A`]).mul(scaling)
    return tf.tensor2d(frozen.expand(), [...shapes.get(name)!]).add(product)
  }

  const stepsOf = (name: string, values: Readonly<Record<string, TfTensor>>) =>
    firstSteps.get(name)!.mul(values[`${name}.step`])
  /** The integers of a module. */
  const rounded = (name: string, values: Readonly<Record<string, TfTensor>>) =>
    roundClip(latent(name, values), ...ranges.get(name)!)

  return {
    parameters,
    ofHead: [],
    ofBlock: i => [...blockOf].filter(([, block]) => block === i).map(([name]) => name),
    frozenBytes: [...held.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    apply: (values, base) => ({
      weights: base,
      hooks: {
        linear(name, x, plain) {
          if (!firstSteps.has(name)) return plain()
          // steps scale the outputs, which are fewer than the weights
          return linear(x, rounded(name, values)).mul(stepsOf(name, values))
        },
      },
    }),
    merge() {
      const values = Object.fromEntries(parameters)
      return new Map(
        [...shapes].map(([name, [rows, cols]]) => {
          const codes = Int8Array.from(valuesOf(() => rounded(name, values)))
          const steps = valuesOf(() => stepsOf(name, values)).slice()
          return [name, { rows, cols, codes, steps }]
        }),
      )
    },
    dispose: () => tf.dispose([...parameters.values(), ...firstSteps.values()]),
  }
}

/** The step of each row with the least squared error, out of a few shares of its largest weight. */
function rowSteps(data: Float32Array, [rows, cols]: readonly [number, number], bits: number): Float32Array {
  const [low, high] = gridRange(bits)
  return Float32Array.from({ length: rows }, (_, r) => {
    const row = data.subarray(r * cols, (r + 1) * cols)
    const largest = row.reduce((most, w) => Math.max(most, Math.abs(w)), 0)
    let best = Math.max(largest, 1e-8) / -low
    let least = Number.POSITIVE_INFINITY
    for (let share = 1; share > 0.2; share -= 0.05) {
      const step = (share * Math.max(largest, 1e-8)) / -low
      let error = 0
      for (const w of row) error += (w - step * Math.min(high, Math.max(low, Math.round(w / step)))) ** 2
      if (error < least) [least, best] = [error, step]
    }
    return best
  })
}

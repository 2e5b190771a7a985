import { type Matrix, random, seedFor } from '@reallm/tensor-io'
import {
  blockTensors,
  embeddingAndHeadTensors,
  type Hooks,
  linear,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import type { Parameters, TfVariable } from '@reallm/transformer/adamw'
import { type LowRankPlan, type PlannedModule, plannedModules } from './plan.ts'
import { rowScaledLinear, tunedLinear } from './tuned-linear.ts'

/** Factors to start from instead of fresh ones: L₁ `[out, rank]`, L₂ `[rank, in]`. */
export interface Factors {
  readonly left: Matrix
  readonly right: Matrix
}

/** What of a model is trained. */
export interface TrainableOptions {
  /** Factors to start from, by module; where the plan's rank is higher, fresh columns and rows are added. */
  readonly start?: ReadonlyMap<string, Factors> | undefined
  /** Row factors to start from, by module; others start at 1. */
  readonly rowScales?: ReadonlyMap<string, Float32Array> | undefined
  /** Train this block only; `base` need not have the others. */
  readonly only?: number | undefined
}

/** Low-rank parts (and what else the plan names) on a frozen model, as pure functions of their values. */
export interface Trainable {
  readonly plan: LowRankPlan
  readonly modules: readonly PlannedModule[]
  /** `<module>.lora_A` `[rank, in]`, `.lora_B` `[out, rank]`, `.row_scale`, `.magnitude` `[out]`, and norms' names. */
  readonly parameters: Parameters
  /** Names of the parameters that block `i` uses. */
  ofBlock(i: number): string[]
  /** Names of the parameters after the blocks: of the last norm and the head. */
  readonly ofHead: readonly string[]
  /** The hooks and replaced weights of a forward pass with these values for the parameters. */
  apply(values: Weights, base: Weights): { hooks: Hooks; weights: Weights }
  dispose(): void
}

/**
 * Fresh trainable parts: L₁ zero and L₂ uniform in ±1/√in, so that the model starts as it is; or `start`'s factors.
 * `base` has the frozen weights.
 */
export function trainable(
  config: TransformerConfig,
  base: Weights,
  plan: LowRankPlan,
  seed: number,
  { start = new Map(), rowScales, only }: TrainableOptions = {},
): Trainable {
  const { rank = 8 } = plan
  const planned = (name: string) => (typeof rank === 'number' ? rank : rank(name))
  const wanted = (name: string) => Math.max(start.get(name)?.right.rows ?? 0, planned(name))
  const blocks = only === undefined ? Array.from({ length: config.layers }, (_, i) => i) : [only]
  const modules = plannedModules(config, { ...plan, rank: wanted }).filter(m => blocks.includes(m.block))
  const byName = new Map(modules.map(m => [m.name, m]))
  const parameters = new Map<string, TfVariable>()
  const blockOf = new Map<string, number>()
  const add = (name: string, block: number, value: () => TfTensor) => {
    parameters.set(
      name,
      tf.tidy(() => tf.variable(value())),
    )
    blockOf.set(name, block)
  }

  for (const module of modules) {
    const { name, block, shape, rank, scaling } = module
    const from = start.get(name)
    const [out, width] = shape
    const fresh = rank - (from?.right.rows ?? 0)
    const right = () => freshFactor(fresh, width, seedFor(seed, name))
    const left = () => tf.zeros([out, fresh]) as TfTensor
    if (rank > 0) {
      add(`${name}.lora_A`, block, () => (from ? tf.concat([toTf(from.right), right()], 0) : right()))
      add(`${name}.lora_B`, block, () =>
        from ? tf.concat([toTf(from.left).div(scaling), left()], 1) : left(),
      )
    }
    const scales = rowScales?.get(name)
    if (plan.rowScales || scales) {
      add(`${name}.row_scale`, block, () => (scales ? tf.tensor1d(scales) : tf.ones([shape[0]])))
    }
    if (plan.dora) {
      const [a, b] = [parameters.get(`${name}.lora_A`)!, parameters.get(`${name}.lora_B`)!]
      add(`${name}.magnitude`, block, () => rowNorms(base[`${name}.weight`], a, b, scaling))
    }
  }
  if (plan.norms) {
    const norms = (names: Iterable<string>) => [...names].filter(name => /norm\.weight$/.test(name))
    for (const i of blocks) {
      for (const name of norms(blockTensors(config, i).keys())) add(name, i, () => base[name].clone())
    }
    for (const name of only === undefined ? norms(embeddingAndHeadTensors(config).keys()) : [])
      add(name, -1, () => base[name].clone())
  }
  const ofBlock = (i: number) => [...blockOf].filter(([, block]) => block === i).map(([name]) => name)

  return {
    plan,
    modules,
    parameters,
    ofBlock,
    ofHead: ofBlock(-1),
    apply(values, frozen) {
      const linearHook: Hooks['linear'] = (name, x, plain) => {
        const module = byName.get(name)
        const a = values[`${name}.lora_A`]
        const rowScale = values[`${name}.row_scale`]
        if (!module || !(a || rowScale)) return plain()
        const weight = frozen[`${name}.weight`]
        if (!a) return rowScaledLinear(x, weight, rowScale)
        const b = values[`${name}.lora_B`]
        const { scaling } = module
        const magnitude = values[`${name}.magnitude`]
        const factors = magnitude ? (magnitude.div(rowNorms(weight, a, b, scaling)) as TfTensor) : rowScale
        return tunedLinear(x, { weight, a, b, scaling, factors })
      }
      return { hooks: { linear: linearHook }, weights: { ...frozen, ...values } }
    },
    dispose: () => tf.dispose([...parameters.values()]),
  }
}

/** Norms of the rows of W + s·B·A, `[out]`, without forming it: ‖w‖² + 2s·w·(bA) + s²·bAAᵀb. Differentiable. */
export function rowNorms(w: TfTensor, a: TfTensor, b: TfTensor, scaling: number): TfTensor {
  return tf.tidy(() => {
    const cross = linear(w, a)
      .mul(b)
      .sum(1)
      .mul(2 * scaling)
    const product = linear(b, linear(a, a))
      .mul(b)
      .sum(1)
      .mul(scaling ** 2)
    return w.square().sum(1).add(cross).add(product).sqrt() as TfTensor
  })
}

function freshFactor(rank: number, width: number, seed: number): TfTensor {
  const rng = random(seed)
  const bound = 1 / Math.sqrt(width)
  return tf.tensor2d(
    Float32Array.from({ length: rank * width }, () => (2 * rng.uniform() - 1) * bound),
    [rank, width],
  )
}

const toTf = (m: Matrix): TfTensor => tf.tensor2d(m.data, [m.rows, m.cols])

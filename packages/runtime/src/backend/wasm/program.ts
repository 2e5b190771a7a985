import { ReallmError, sample } from '@reallm/tensor-io'
import type { Batch, Choice, Program } from '../backend.ts'
import { isLayered, type LayeredOp } from '../layered-op.ts'
import type { Experts, Head, Op, Slot } from '../op.ts'
import { isRecurrent, type RecurrentOp } from '../recurrent-op.ts'
import { attend, RopeAngles } from './attend.ts'
import type { Activations, Engine } from './engine.ts'
import { gatedProduct } from './gated-product.ts'
import { head, type LogitsOf } from './head.ts'
import { linearOf } from './held.ts'
import { project } from './project.ts'
import { residual } from './residual.ts'
import type { WasmState } from './state.ts'
import type { Compiler, Step } from './step.ts'

/** Compiles ops that few models have; fetched for those. */
export interface RareOps {
  /** Layers that keep a state. */
  readonly recurrent: ((compiler: Compiler, op: RecurrentOp) => Step) | undefined
  readonly experts: ((compiler: Compiler, op: Experts) => Step) | undefined
  /** What layers read beside the hidden states. */
  readonly layered: ((compiler: Compiler, angles: RopeAngles, op: LayeredOp) => Step) | undefined
}

/** Tokens whose logits are computed together: vocabularies are large. */
const HEAD_TOKENS = 8

/** Ops as calls of kernels, their addresses known. */
export class WasmProgram implements Program {
  readonly #engine: Engine
  readonly #angles: RopeAngles
  readonly #steps: readonly Step[]
  readonly #logitsOf: LogitsOf
  readonly #vocabSize: number

  /** @param rare undefined what no op needs */
  constructor(engine: Engine, ops: readonly Op[], rare: RareOps) {
    const compiler = slotCompiler(engine)
    const last = ops.at(-1)
    if (last?.kind !== 'head') throw new ReallmError('bad-option', 'a program ends with its head')
    this.#engine = engine
    this.#angles = new RopeAngles(engine)
    this.#steps = ops
      .slice(0, -1)
      .map(op =>
        isRecurrent(op)
          ? rare.recurrent!(compiler, op)
          : isLayered(op)
            ? rare.layered!(compiler, this.#angles, op)
            : op.kind === 'experts'
              ? rare.experts!(compiler, op)
              : compile(compiler, this.#angles, op as Common),
      )
    this.#logitsOf = head(compiler, last)
    this.#vocabSize = last.weight.rows
  }

  read(batch: Batch): Promise<void> {
    return this.#engine.turns.take(() => this.#run(batch))
  }

  logits(batch: Batch, of: 'last' | 'all'): Promise<Float32Array> {
    return this.#engine.turns.take(async () => {
      await this.#run(batch)
      const tokens = batch.ids.length
      if (of === 'last') return this.#logitsOf(tokens - 1, 1).slice()
      const all = new Float32Array(tokens * this.#vocabSize)
      for (let t = 0; t < tokens; t += HEAD_TOKENS) {
        all.set(this.#logitsOf(t, Math.min(HEAD_TOKENS, tokens - t)), t * this.#vocabSize)
        if (this.#engine.turns.isLong) await this.#engine.turns.pause()
      }
      return all
    })
  }

  sample(batch: Batch, { options, previous, draws }: Choice): Promise<readonly number[]> {
    return this.#engine.turns.take(async () => {
      const chosen: number[] = []
      let { ids } = batch
      for (const draw of draws) {
        await this.#run({ ...batch, ids })
        const known = (options.repetitionPenalty ?? 1) === 1 ? [] : [...previous, ...chosen]
        const id = sample(this.#logitsOf(ids.length - 1, 1), options, { uniform: () => draw }, known)
        chosen.push(id)
        ids = [id]
      }
      return chosen
    })
  }

  [Symbol.dispose](): void {
    this.#engine.turns.afterwards(() => this.#angles.dispose())
  }

  async #run({ ids, state, length }: Batch): Promise<void> {
    const { turns } = this.#engine
    const own = state as WasmState
    const tokens = ids.length
    own.reserve(own.length + tokens)
    const pass = { ids, tokens, state: own, length }
    this.#angles.prepare(pass)
    for (const step of this.#steps) {
      step(pass)
      if (turns.isLong) await turns.pause()
    }
    own.length += tokens
  }
}

/** Ops that most models have. */
type Common = Exclude<Op, Head | RecurrentOp | LayeredOp | Experts>

function compile(compiler: Compiler, angles: RopeAngles, op: Common): Step {
  switch (op.kind) {
    case 'embed': {
      const [linear, to] = [linearOf(op.weight), compiler.activations(op.to)]
      return ({ ids }) => {
        const { at } = to.changed()
        for (const [t, id] of ids.entries()) linear.row(id, at + 4 * t * linear.cols, op.scale)
      }
    }
    case 'project':
      return project(compiler, op)
    case 'attend':
      return attend(compiler, angles, op)
    case 'gated-product':
      return gatedProduct(compiler, op)
    case 'residual':
      return residual(compiler, op)
  }
}

/** Gives each slot activations; programs share them, since only one runs at a time. */
function slotCompiler(engine: Engine): Compiler {
  const slots = new Map<Slot, Activations>()
  return {
    engine,
    activations(slot) {
      const found = slots.get(slot) ?? engine.scratch(`slot ${slots.size}`, slot.width)
      slots.set(slot, found)
      return found
    },
  }
}

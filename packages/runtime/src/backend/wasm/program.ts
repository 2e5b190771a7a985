import { ReallmError, sample } from '@reallm/tensor-io'
import type { Batch, Choice, Program } from '../backend.ts'
import { isLayered, type LayeredOp } from '../layered-op.ts'
import type { Experts, Head, Op, Slot } from '../op.ts'
import { isRecurrent, type RecurrentOp } from '../recurrent-op.ts'
import { attend, RopeAngles } from './attend.ts'
import { type Call, CallQueue } from './call-queue.ts'
import { type Activations, BATCH, type Engine } from './engine.ts'
import { gatedProduct } from './gated-product.ts'
import { head, type LogitsOf } from './head.ts'
import { linearOf } from './held.ts'
import { project } from './project.ts'
import { residual } from './residual.ts'
import type { WasmState } from './state.ts'
import type { Compiler, Part, Step } from './step.ts'

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
  readonly #calls: CallQueue

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
    this.#calls = new CallQueue(engine.turns, BATCH, calls => this.#carryOut(calls))
  }

  read(batch: Batch): Promise<void> {
    return this.#calls.add(batch)
  }

  async logits(batch: Batch, of: 'last' | 'all'): Promise<Float32Array> {
    if (of === 'all') return this.#engine.turns.take(() => this.#allLogits(batch))
    let last: Float32Array | undefined
    await this.#calls.add(batch, logits => {
      last = logits.slice()
    })
    return last!
  }

  async sample(batch: Batch, { options, previous, draws }: Choice): Promise<readonly number[]> {
    const known = (options.repetitionPenalty ?? 1) === 1 ? [] : [...previous]
    const chosen: number[] = []
    const choose = (logits: Float32Array) => {
      const draw = draws[chosen.length]
      chosen.push(sample(logits, options, { uniform: () => draw }, [...known, ...chosen]))
    }
    if (draws.length === 1) {
      await this.#calls.add(batch, choose)
      return chosen
    }
    return this.#engine.turns.take(async () => {
      for (let { ids } = batch; chosen.length < draws.length; ids = chosen.slice(-1)) {
        await this.#run([{ ...batch, ids }])
        choose(this.#logitsOf([ids.length - 1]))
      }
      return chosen
    })
  }

  [Symbol.dispose](): void {
    this.#engine.turns.afterwards(() => this.#angles.dispose())
  }

  async #allLogits(batch: Batch): Promise<Float32Array> {
    const { turns } = this.#engine
    await this.#run([batch])
    const tokens = batch.ids.length
    const all = new Float32Array(tokens * this.#vocabSize)
    for (let t = 0; t < tokens; t += HEAD_TOKENS) {
      const some = Array.from({ length: Math.min(HEAD_TOKENS, tokens - t) }, (_, i) => t + i)
      all.set(this.#logitsOf(some), t * this.#vocabSize)
      if (turns.isLong) await turns.pause()
    }
    return all
  }

  /** Carries out calls of different states, and settles each. */
  async #carryOut(calls: readonly Call[]): Promise<void> {
    const parts = await this.#run(calls.map(({ batch }) => batch))
    const asking = calls.flatMap(({ use }, i) => (use ? [{ call: calls[i], use, part: parts[i] }] : []))
    for (let from = 0; from < asking.length; from += HEAD_TOKENS) {
      const some = asking.slice(from, from + HEAD_TOKENS)
      const logits = this.#logitsOf(some.map(({ part }) => part.first + part.tokens - 1))
      for (const [i, { call, use }] of some.entries()) {
        try {
          use(logits.subarray(i * this.#vocabSize, (i + 1) * this.#vocabSize))
        } catch (error) {
          call.reject(error)
        }
      }
    }
    for (const { resolve } of calls) resolve()
  }

  async #run(batches: readonly Batch[]): Promise<readonly Part[]> {
    const { turns } = this.#engine
    const parts: Part[] = []
    let tokens = 0
    for (const { ids, state, length } of batches) {
      const own = state as WasmState
      own.reserve(own.length + ids.length)
      parts.push({ first: tokens, tokens: ids.length, state: own, length })
      tokens += ids.length
    }
    const pass = { ids: batches.flatMap(({ ids }) => ids), tokens, parts }
    this.#angles.prepare(pass)
    for (const step of this.#steps) {
      const rest = step(pass)
      if (rest) await rest
      if (turns.isLong) await turns.pause()
    }
    for (const { state, tokens } of parts) state.length += tokens
    return parts
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

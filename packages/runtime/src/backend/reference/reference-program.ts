import { ReallmError, sample } from '@reallm/tensor-io'
import type { Mixer } from '@reallm/tensor-io/models'
import type { Batch, Choice, Program, State } from '../backend.ts'
import type { Head, Op, Slot } from '../op.ts'
import { experts } from './experts.ts'
import { attendShared, perLayerInputs } from './layered.ts'
import { attend, dataOf, gatedProduct, type LayerCache, linear, rmsNorm, row } from './ops.ts'
import { deltaRule, emptyMemory, type RecurrentMemory, scan, shortConv } from './recurrent.ts'

/** Keys and values of each layer, or what it keeps in place of them. */
export class ReferenceState implements State {
  length = 0
  readonly layers: readonly LayerCache[]
  readonly recurrent: readonly RecurrentMemory[]
  readonly #goesBack: boolean
  readonly #holding: Set<{ readonly bytes: number }>

  constructor(holding: Set<{ readonly bytes: number }>, mixers: readonly Mixer[]) {
    this.#holding = holding.add(this)
    this.layers = mixers.map(() => ({ keys: [], values: [] }))
    this.recurrent = mixers.map(emptyMemory)
    this.#goesBack = mixers.every(({ kind }) => kind === 'attention' || kind === 'shared-attention')
  }

  get bytes(): number {
    const rows = this.layers.flatMap(({ keys, values }) => [...keys, ...values])
    const states = this.recurrent.flatMap(({ inputs, heads }) => [...inputs, ...heads.flat()])
    return [...rows, ...states].reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  truncate(length: number): number {
    if (length >= this.length) return this.length
    this.length = this.#goesBack ? length : 0
    for (const memory of this.recurrent) Object.assign(memory, emptyMemory())
    for (const { keys, values } of this.layers) for (const rows of [keys, values]) rows.splice(this.length)
    return this.length
  }

  [Symbol.dispose](): void {
    this.truncate(0)
    this.#holding.delete(this)
  }
}

/** Ops one after another, on float32 arrays `[tokens, width]`. */
export class ReferenceProgram implements Program {
  readonly #ops: readonly Op[]
  readonly #head: Head
  readonly #slots = new Map<Slot, Float32Array>()

  constructor(ops: readonly Op[]) {
    const head = ops.at(-1)
    if (head?.kind !== 'head') throw new ReallmError('bad-option', 'a program ends with its head')
    this.#ops = ops.slice(0, -1)
    this.#head = head
  }

  async read(batch: Batch): Promise<void> {
    this.#run(batch)
  }

  async logits(batch: Batch, of: 'last' | 'all'): Promise<Float32Array> {
    this.#run(batch)
    return this.#logits(of)
  }

  async sample(batch: Batch, { options, previous, draws }: Choice): Promise<readonly number[]> {
    const chosen: number[] = []
    let { ids } = batch
    for (const draw of draws) {
      this.#run({ ...batch, ids })
      const known = [...previous, ...chosen]
      const id = sample(this.#logits('last'), options, { uniform: () => draw }, known)
      chosen.push(id)
      ids = [id]
    }
    return chosen
  }

  [Symbol.dispose](): void {}

  #run({ ids, state, length }: Batch): void {
    const own = state as ReferenceState
    const place = { first: own.length, length }
    for (const op of this.#ops) this.#step(op, ids, own, place)
    own.length += ids.length
  }

  #step(
    op: Op,
    ids: readonly number[],
    state: ReferenceState,
    place: { first: number; length: number },
  ): void {
    const slots = this.#slots
    switch (op.kind) {
      case 'embed':
        slots.set(op.to, concatenate(ids.map(id => row(op.weight, id, op.scale))))
        break
      case 'project': {
        const hidden = slots.get(op.from)!
        const x = op.norm ? rmsNorm(hidden, op.norm) : hidden
        for (const { weight, bias, parts } of op.members) {
          const y = linear(x, weight, bias)
          for (const { row, to } of parts) slots.set(to, columns(y, weight.rows, row, row + to.width))
        }
        break
      }
      case 'attend': {
        const inputs = [slots.get(op.query)!, slots.get(op.key)!, slots.get(op.value)!] as const
        slots.set(op.to, attend(op, inputs, state.layers[op.layer], place))
        break
      }
      case 'attend-shared':
        slots.set(op.to, attendShared(op, slots.get(op.query)!, state.layers[op.spec.layer], place))
        break
      case 'per-layer-inputs':
        for (const [i, values] of perLayerInputs(op, ids, slots.get(op.from)!).entries())
          slots.set(op.to[i], values)
        break
      case 'times': {
        const [factor] = dataOf(op.factor)
        slots.set(
          op.hidden,
          slots.get(op.hidden)!.map(h => factor * h),
        )
        break
      }
      case 'short-conv': {
        const inputs = [op.before, op.after, op.value].map(slot => slots.get(slot)!)
        slots.set(op.to, shortConv(op, inputs, state.recurrent[op.layer]))
        break
      }
      case 'delta-rule': {
        const inputs = [op.mixed, op.gate, op.beta, op.decay].map(slot => slots.get(slot)!)
        slots.set(op.to, deltaRule(op, inputs, state.recurrent[op.layer]))
        break
      }
      case 'scan': {
        const inputs = [op.mixed, op.gate, op.step].map(slot => slots.get(slot)!)
        slots.set(op.to, scan(op, inputs, state.recurrent[op.layer]))
        break
      }
      case 'gated-product':
        slots.set(op.to, gatedProduct(slots.get(op.gate)!, slots.get(op.up)!, op.activation))
        break
      case 'experts': {
        const hidden = slots.get(op.hidden)!
        const added = experts(op, hidden)
        slots.set(
          op.hidden,
          hidden.map((h, i) => h + op.scale * added[i]),
        )
        break
      }
      case 'residual': {
        const y = linear(slots.get(op.from)!, op.weight, op.bias)
        const normed = op.norm ? rmsNorm(y, op.norm) : y
        const hidden = slots.get(op.hidden)!
        slots.set(
          op.hidden,
          hidden.map((h, i) => h + op.scale * normed[i]),
        )
      }
    }
  }

  #logits(of: 'last' | 'all'): Float32Array {
    const { from, norm, weight, scale, softcap } = this.#head
    const hidden = this.#slots.get(from)!
    const x = of === 'all' ? hidden : hidden.subarray(hidden.length - from.width)
    const logits = linear(norm ? rmsNorm(x, norm) : x, weight, undefined).map(v => scale * v)
    return softcap === undefined ? logits : logits.map(v => softcap * Math.tanh(v / softcap))
  }
}

function concatenate(rows: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(rows.length * rows[0].length)
  for (const [i, row] of rows.entries()) all.set(row, i * row.length)
  return all
}

/** Columns `from` to `to` of rows of `width`. */
function columns(x: Float32Array, width: number, from: number, to: number): Float32Array {
  const rows = Array.from({ length: x.length / width }, (_, t) => x.slice(t * width + from, t * width + to))
  return concatenate(rows)
}

import type { Pointer } from '@reallm/kernels/inference'
import { type Attention, type Rope, rotations } from '@reallm/tensor-io/models'
import type { Attend, NormOp } from '../op.ts'
import { BATCH, type Engine } from './engine.ts'
import { addressOf } from './held.ts'
import { type Compiler, normalise, type Part, type Pass, type Step } from './step.ts'

/** Causal attention of a layer over what its cache holds. */
export function attend(compiler: Compiler, angles: RopeAngles, op: Attend): Step {
  const { engine } = compiler
  const { kernels } = engine
  const { spec, layer, norms } = op
  const { heads, kvHeads, headDim, rope, valueNormEps: eps } = spec
  const [asked, k, v, out] = [op.query, op.key, op.value, op.to].map(slot => compiler.activations(slot))
  const q = spec.gated ? engine.scratch('gated queries', heads * headDim) : asked
  const turning = rope && angles.of(rope)
  const sinks = op.sinks && addressOf(op.sinks)
  const placing = { engine, spec, afterRope: spec.qkNorm?.afterRope ?? false }
  const ones = eps && engine.constant(`ones ${headDim}`, () => new Float32Array(headDim).fill(1))

  return ({ tokens, parts }) => {
    for (let n = 0; spec.gated && n < tokens * heads; n++) {
      kernels.copy(q.at + 4 * n * headDim, asked.at + 8 * n * headDim, headDim)
    }
    place(placing, q.at, heads, norms?.query, turning?.queries, tokens)
    place(placing, k.at, kvHeads, norms?.key, turning?.keys, tokens)
    if (ones) kernels.rmsNorm(v.at, ones, v.changed().at, tokens * kvHeads, headDim, eps)
    const to = out.changed().at
    const read = ({ first, tokens, position, state }: Piece) => {
      const [asking, kept] = [4 * first * heads * headDim, 4 * first * kvHeads * headDim]
      const own = { keys: k.at + kept, values: v.at + kept }
      const at = { spec, query: q.at + asking, own, to: to + asking, sinks }
      state.cache(layer).attend({ ...at, tokens, position })
    }
    const finish = () => {
      if (spec.gated) applyGates(engine, asked.at, out.at, tokens * heads, headDim)
    }
    const pieces = parts.flatMap(part => piecesOf(part, 2 * heads * headDim))
    if (pieces.length > parts.length) return inTurns(pieces, read).then(finish)
    for (const piece of pieces) read(piece)
    finish()
  }

  async function inTurns(pieces: readonly Piece[], read: (piece: Piece) => void): Promise<void> {
    for (const piece of pieces) {
      read(piece)
      if (engine.turns.isLong) await engine.turns.pause()
    }
  }
}

/** Some tokens of a part, the first at `position`. */
interface Piece extends Pick<Part, 'first' | 'tokens' | 'state'> {
  readonly position: number
}

/** MACs of attention after which a pass may pause: about as many as those of another op. */
const MOST_MACS = 2 ** 27

/** Tokens that attend together: fewer in long texts. */
function piecesOf({ first, tokens, state }: Part, macs: number): Piece[] {
  const together = Math.max(1, Math.floor(MOST_MACS / (macs * (state.length + tokens))))
  return Array.from({ length: Math.ceil(tokens / together) }, (_, i) => {
    const at = i * together
    return { first: first + at, tokens: Math.min(together, tokens - at), state, position: state.length + at }
  })
}

interface Placing {
  readonly engine: Engine
  readonly spec: Pick<Attention, 'rope' | 'headDim'>
  readonly afterRope: boolean
}

/** Norm and rotary embedding of queries or keys. */
export function place(
  { engine, spec: { rope, headDim }, afterRope }: Placing,
  x: Pointer,
  heads: number,
  norm: NormOp | undefined,
  at: Angles | undefined,
  tokens: number,
): void {
  const floats = tokens * heads * headDim
  if (norm && !afterRope) normalise(engine, norm, x, x, floats)
  if (rope && at) {
    const pairs = rope.inverseFrequencies.length
    engine.kernels.rope(x, at.cos, at.sin, tokens, heads, headDim, pairs, Number(rope.interleaved))
  }
  if (norm && afterRope) normalise(engine, norm, x, x, floats)
}

/** What each of some heads reads counts `sigmoid(gate)` times; its gate lies behind its query. */
function applyGates({ arena }: Engine, asked: Pointer, out: Pointer, heads: number, width: number): void {
  const gates = arena.floats(asked, 2 * heads * width)
  const read = arena.floats(out, heads * width)
  for (let n = 0; n < heads; n++) {
    for (let i = 0; i < width; i++) read[n * width + i] /= 1 + Math.exp(-gates[(2 * n + 1) * width + i])
  }
}

/** cos and sin `[BATCH, pairs]` of the positions at hand. */
interface Angles {
  readonly cos: Pointer
  readonly sin: Pointer
}

/** The rotary angles of a program, computed once for all layers that share a rope. */
export class RopeAngles {
  readonly #engine: Engine
  readonly #angles = new Map<Rope, { readonly queries: Angles; readonly keys: Angles }>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  of(rope: Rope): { readonly queries: Angles; readonly keys: Angles } {
    const found = this.#angles.get(rope)
    if (found) return found
    const make = (): Angles => {
      const floats = BATCH * rope.inverseFrequencies.length
      return { cos: this.#engine.allocateFloats(floats), sin: this.#engine.allocateFloats(floats) }
    }
    const keys = make()
    const made = { keys, queries: rope.temperature ? make() : keys }
    this.#angles.set(rope, made)
    return made
  }

  /** Before a pass: the angles of its positions. */
  prepare({ parts }: Pass): void {
    for (const part of parts) this.#prepare(part)
  }

  #prepare({ first, tokens, state, length }: Part): void {
    const { arena } = this.#engine
    for (const [rope, { queries, keys }] of this.#angles) {
      const pairs = rope.inverseFrequencies.length
      const fill = ({ cos, sin }: Angles, queries: boolean) => {
        const place = { first: state.length, count: tokens, length, queries }
        const [cosines, sines] = [cos, sin].map(at => arena.floats(at + 4 * first * pairs, tokens * pairs))
        rotations(rope, place, cosines, sines)
      }
      fill(keys, false)
      if (queries !== keys) fill(queries, true)
    }
  }

  dispose(): void {
    for (const { queries, keys } of this.#angles.values()) {
      for (const { cos, sin } of new Set([queries, keys])) {
        this.#engine.arena.free(cos)
        this.#engine.arena.free(sin)
      }
    }
    this.#angles.clear()
  }
}

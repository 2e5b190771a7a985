import { pause } from '../../pause.ts'
import type { Batch } from '../backend.ts'
import type { Turns } from './turns.ts'

/** What waits for its pass: tokens to read, and what is done with the logits after the last of them, where they are wanted. */
export interface Call {
  readonly batch: Batch
  /** Takes logits that the next call overwrites; absent where the tokens are only read. */
  readonly use?: ((logits: Float32Array) => void) | undefined
  /** Of the promise that waits for the call. */
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** How often the thread's other work gets a turn before a pass goes without those that came along last time. */
const PATIENCE = 4

/**
 * Calls of a program in the order in which they are made; those of different states go through the layers together, as many
 * tokens as fit. Texts that are written at a time cost little more than one: each weight is read once for all of them.
 */
export class CallQueue {
  readonly #turns: Turns
  readonly #mostTokens: number
  readonly #run: (calls: readonly Call[]) => Promise<void>
  readonly #waiting: Call[] = []
  /** Calls of the last pass. */
  #together = 1

  /** @param run carries calls out and settles each; what it throws is the error of all that it has not settled */
  constructor(turns: Turns, mostTokens: number, run: (calls: readonly Call[]) => Promise<void>) {
    this.#turns = turns
    this.#mostTokens = mostTokens
    this.#run = run
  }

  /** Resolves when the tokens have been read and `use` has returned. */
  add(batch: Batch, use?: Call['use']): Promise<void> {
    return new Promise((resolve, reject) => {
      const call = { batch, use, resolve, reject }
      this.#waiting.push(call)
      void this.#turns.take(() => this.#carryOut(call))
    })
  }

  /** Carries a call out with others, unless it has gone with an earlier one. */
  async #carryOut(call: Call): Promise<void> {
    if (!this.#waiting.includes(call)) return
    // texts that were written together have their next tokens ready at about the same time
    for (let i = 0; i < PATIENCE && this.#waiting.length < this.#together; i++) await pause()
    const calls = this.#take()
    this.#together = calls.length
    try {
      await this.#run(calls)
    } catch (error) {
      for (const { reject } of calls) reject(error)
    }
  }

  /** The first call, and all further ones that fit beside it. */
  #take(): readonly Call[] {
    const taken: Call[] = []
    const states = new Set<Batch['state']>()
    let room = this.#mostTokens
    for (const call of [...this.#waiting]) {
      const { state, ids } = call.batch
      const fits = ids.length <= room && !states.has(state)
      states.add(state)
      if (!fits) continue
      room -= ids.length
      taken.push(call)
      this.#waiting.splice(this.#waiting.indexOf(call), 1)
    }
    return taken
  }
}

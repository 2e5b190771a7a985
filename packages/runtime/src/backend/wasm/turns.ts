import { pause } from '../../pause.ts'

/** Lets one piece of work at a time use an engine's scratch memory, in the order of asking, with pauses where they are wanted. */
export class Turns {
  readonly #pauseAfter: number
  #last: Promise<unknown> | undefined
  #resumed = 0

  /** @param pauseAfter milliseconds after which other work of the thread gets its turn; Infinity for never */
  constructor(pauseAfter: number) {
    this.#pauseAfter = pauseAfter
  }

  /** Does work when all that was asked for before is done. */
  take<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = async () => {
      this.#resumed = performance.now()
      return work()
    }
    const done = this.#last ? this.#last.then(turn, turn) : turn()
    this.#last = done
    const leave = () => {
      if (this.#last === done) this.#last = undefined
    }
    done.then(leave, leave)
    return done
  }

  /** Does work now, or after the work under way: for giving memory back that it may still use. */
  afterwards(work: () => void): void {
    if (this.#last) void this.take(work)
    else work()
  }

  /** Between steps of a turn's work: whether it is time for a pause. */
  get isLong(): boolean {
    return (
      this.#pauseAfter !== Number.POSITIVE_INFINITY && performance.now() - this.#resumed > this.#pauseAfter
    )
  }

  async pause(): Promise<void> {
    await pause()
    this.#resumed = performance.now()
  }
}

/** A token of an answer with its log-probability (natural), and the likeliest at its place. */
export interface TokenLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes: readonly number[]
  readonly top: readonly Omit<TokenLogprob, 'top'>[]
}

/** Notes what the model thought of the tokens that were chosen: before temperature, penalties and grammar. */
export class LogprobReader {
  readonly #bytes: readonly (string | undefined)[]
  readonly #most: number
  #tokens: TokenLogprob[] = []

  /**
   * @param bytes what tokens write, by id
   * @param most how many of the likeliest are told beside each token
   */
  constructor(bytes: readonly (string | undefined)[], most: number) {
    this.#bytes = bytes
    this.#most = most
  }

  read(id: number, logits: ArrayLike<number>): void {
    let best = Number.NEGATIVE_INFINITY
    for (let i = 0; i < logits.length; i++) best = Math.max(best, logits[i])
    let sum = 0
    for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - best)
    const all = best + Math.log(sum)
    const about = (token: number) => {
      const bytes = Buffer.from(this.#bytes[token] ?? '', 'latin1')
      return { token: bytes.toString(), logprob: logits[token] - all, bytes: [...bytes] }
    }
    this.#tokens.push({ ...about(id), top: likeliest(logits, this.#most).map(about) })
  }

  /** The tokens since the last call. */
  taken(): readonly TokenLogprob[] {
    const tokens = this.#tokens
    this.#tokens = []
    return tokens
  }
}

/** Ids of the `most` largest, the largest first. */
function likeliest(logits: ArrayLike<number>, most: number): number[] {
  const ids: number[] = []
  for (let id = 0; id < logits.length && most > 0; id++) {
    if (ids.length === most && logits[id] <= logits[ids[most - 1]]) continue
    if (ids.length === most) ids.pop()
    let at = ids.length
    while (at > 0 && logits[ids[at - 1]] < logits[id]) at--
    ids.splice(at, 0, id)
  }
  return ids
}

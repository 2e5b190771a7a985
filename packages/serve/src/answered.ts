/** A request that was answered. */
export interface Answered {
  readonly method: string
  readonly path: string
  /** 499 where the client left. */
  readonly status: number
  readonly seconds: number
}

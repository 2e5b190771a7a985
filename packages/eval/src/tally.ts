/** What one window adds to an evaluation: sums over its scored positions. */
export interface Tally {
  /** Negative log-likelihood of the scored tokens, in nats. */
  readonly loss: number
  readonly tokens: number
  /** With a model to compare with: what the other one gives. */
  readonly compared?: ComparedTally | undefined
}

/** What a window tells of two models: sums over its scored positions. */
export interface ComparedTally {
  /** Negative log-likelihood that the other model gives the scored tokens, in nats. */
  readonly otherLoss: number
  /** KL(other ‖ model), in nats. */
  readonly kl: number
  /** Positions where both have the same likeliest token. */
  readonly top1: number
  /** Positions where the other model's likeliest token is among this one's five. */
  readonly top5: number
}

/** Results of single items of long work, kept so that nothing is measured twice: `@reallm/pipeline` keeps them in files. */
export interface Kept<T> {
  get(item: number): T | undefined
  put(item: number, value: T): void | Promise<void>
}

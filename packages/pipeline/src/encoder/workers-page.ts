// Pages encode in the thread that they are in.
import type * as node from './workers-node.ts'

export const threads: typeof node.threads | undefined = undefined
export const queueModule: typeof node.queueModule | undefined = undefined
export const sharedFloats: typeof node.sharedFloats = length => new Float32Array(length)

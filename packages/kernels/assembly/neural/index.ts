// Matrices that neural decoders stand for, beside the module `inference` and on its memory: its threads call `execute` for
// operations which that does not know. No data of its own lies in the memory.
import { nervPart, putNerv } from './nerv'

export { nervScratch } from './nerv'

/** The number of its operation, beyond those of `inference`, `blocks` and `trellis`. */
const NERV: i32 = 64

/** Runs an operation on all threads: `run` of `inference`. */
// @ts-expect-error: decorator
@external("env", "run")
declare function run(operation: i32, work: i64): void

/** Operations of another module. */
// @ts-expect-error: decorator
@external("env", "other")
declare function other(operation: i32, part: i32, parts: i32, thread: i32): void

export function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  if (operation === NERV) nervPart(part, parts, thread)
  else other(operation, part, parts, thread)
}

export function nerv(
  decoder: usize, latents: usize, count: i32, side: i32, layers: usize, out: usize, scratch: usize,
): void {
  run(NERV, putNerv(decoder, latents, count, side, layers, out, scratch))
}

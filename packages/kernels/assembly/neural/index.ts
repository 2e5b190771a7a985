// Matrices that neural decoders stand for, beside the module `inference` and on its memory: its threads call `execute` for
// operations which that does not know. No data of its own lies in the memory.
import { other, run } from '../inference/beside'
import { nervPart, putNerv } from './nerv'

export { nervScratch } from './nerv'

/** The number of its operation, beyond those of `inference`, `blocks` and `trellis`. */
const NERV: i32 = 64

export function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  if (operation === NERV) nervPart(part, parts, thread)
  else other(operation, part, parts, thread)
}

export function nerv(
  decoder: usize, latents: usize, count: i32, side: i32, layers: usize, out: usize, scratch: usize,
): void {
  run(NERV, putNerv(decoder, latents, count, side, layers, out, scratch))
}

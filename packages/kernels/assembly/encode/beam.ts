// Beam search over codebooks whose codewords are added, four codewords at a time.
import { arg, share } from '../inference/job'

/** Bytes of scratch that a thread needs. */
export function beamScratch(count: i32, size: i32, beam: i32): usize {
  return ((<usize>(size + 4 * beam + 2 * beam * count + count) << 2) + 15) & ~15
}

/**
 * Arguments: products of the targets with all codewords `[n, count · size]`, of the codewords with each other, squared norms
 * of the codewords, n, count of codebooks, size of each (a multiple of 4), beam, result (uint16 `[n, count]`),
 * scratch of all threads.
 */
export function beamPart(part: i32, parts: i32, thread: i32): void {
  const n = arg(3)
  const count = arg(4)
  const size = arg(5)
  const beam = arg(6)
  const scratch = <usize>arg(8) + <usize>thread * beamScratch(count, size, beam)
  const all = <usize>(count * size) << 2
  const last = share(n, part + 1, parts)
  for (let i = share(n, part, parts); i < last; i++) {
    const similar = <usize>arg(0) + <usize>i * all
    const codes = <usize>arg(7) + (<usize>(i * count) << 1)
    search(similar, <usize>arg(1), <usize>arg(2), count, size, beam, codes, scratch)
  }
}

function search(
  similar: usize, products: usize, norms: usize, count: i32, size: i32, beam: i32, codes: usize, scratch: usize,
): void {
  const bytes = <usize>size << 2
  const all = <usize>count * bytes
  const pathBytes = <usize>count << 2
  const alone = scratch
  let distance = alone + bytes
  let nextDistance = distance + (<usize>beam << 2)
  const word = nextDistance + (<usize>beam << 2)
  const parent = word + (<usize>beam << 2)
  let path = parent + (<usize>beam << 2)
  let nextPath = path + <usize>beam * pathBytes
  const rows = nextPath + <usize>beam * pathBytes

  let kept = 1
  store<f32>(distance, 0)
  for (let m = 0; m < count; m++) {
    const first = <usize>m * bytes
    let filled = 0
    let worst: f32 = Infinity
    // ‖x − Σ c‖² without ‖x‖²: each codeword adds ‖c‖² − 2xc and twice its products with those before.
    for (let k: usize = 0; k < bytes; k += 16) {
      const product = v128.load(similar + first + k)
      v128.store(alone + k, f32x4.sub(v128.load(norms + first + k), f32x4.add(product, product)))
    }
    for (let h = 0; h < kept; h++) {
      const base = f32x4.splat(load<f32>(distance + (<usize>h << 2)))
      for (let j = 0; j < m; j++) {
        const code = load<i32>(path + <usize>h * pathBytes + (<usize>j << 2))
        store<usize>(rows + (<usize>j << 2), products + <usize>(j * size + code) * all + first)
      }
      for (let k: usize = 0; k < bytes; k += 16) {
        let crossed = f32x4.splat(0)
        for (let j: usize = 0; j < <usize>m << 2; j += 4) {
          crossed = f32x4.add(crossed, v128.load(load<usize>(rows + j) + k))
        }
        let d = f32x4.add(f32x4.add(base, v128.load(alone + k)), f32x4.add(crossed, crossed))
        if (!v128.any_true(f32x4.lt(d, f32x4.splat(worst)))) continue
        for (let lane = 0; lane < 4; lane++) {
          const value = f32x4.extract_lane(d, 0)
          if (value < worst) {
            filled = insert(value, <i32>(k >> 2) + lane, h, filled, beam, nextDistance, word, parent)
            if (filled === beam) worst = load<f32>(nextDistance + (<usize>(beam - 1) << 2))
          }
          d = v128.shuffle<i32>(d, d, 1, 2, 3, 0)
        }
      }
    }
    // Products that are not finite: any codeword is as good.
    if (filled === 0) filled = insert(Infinity, 0, 0, 0, beam, nextDistance, word, parent)
    for (let h: usize = 0; h < <usize>filled; h++) {
      const from = path + <usize>load<i32>(parent + (h << 2)) * pathBytes
      const to = nextPath + h * pathBytes
      for (let j: usize = 0; j < <usize>m << 2; j += 4) store<i32>(to + j, load<i32>(from + j))
      store<i32>(to + (<usize>m << 2), load<i32>(word + (h << 2)))
    }
    const oldDistance = distance
    distance = nextDistance
    nextDistance = oldDistance
    const oldPath = path
    path = nextPath
    nextPath = oldPath
    kept = filled
  }
  for (let m: usize = 0; m < <usize>count; m++) store<u16>(codes + (m << 1), <u16>load<i32>(path + (m << 2)))
}

/** Puts a hypothesis in its place among the best so far; returns how many there are. */
function insert(
  value: f32, code: i32, from: i32, filled: i32, beam: i32, distance: usize, word: usize, parent: usize,
): i32 {
  let place = <usize>(filled < beam ? filled : beam - 1) << 2
  for (; place > 0 && load<f32>(distance + place - 4) > value; place -= 4) {
    store<f32>(distance + place, load<f32>(distance + place - 4))
    store<i32>(word + place, load<i32>(word + place - 4))
    store<i32>(parent + place, load<i32>(parent + place - 4))
  }
  store<f32>(distance + place, value)
  store<i32>(word + place, code)
  store<i32>(parent + place, from)
  return filled < beam ? filled + 1 : beam
}

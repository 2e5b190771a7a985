// Nearest centroids by weighted squared distance, four centroids at a time.
import { arg, share } from '../inference/job'

/**
 * Arguments: points `[n, d]`, centroids transposed `[d, padded]` (padded to a multiple of 4 with infinities), weights
 * (0: none), floats from one point's weights to the next (0: shared), n, d, padded, result (uint32).
 */
export function nearestPart(part: i32, parts: i32): void {
  const n = arg(4)
  const d = arg(5)
  const stretch = <usize>arg(6) << 2
  const first = share(n, part, parts)
  const last = share(n, part + 1, parts)
  const bytes = <usize>d << 2
  let x = <usize>arg(0) + <usize>first * bytes
  let w = <usize>arg(2) + (<usize>first * <usize>arg(3) << 2)
  let to = <usize>arg(7) + (<usize>first << 2)
  for (let i = first; i < last; i++, x += bytes, w += <usize>arg(3) << 2, to += 4) {
    store<i32>(to, arg(2) === 0 ? nearest(x, 0, d, <usize>arg(1), stretch) : nearest(x, w, d, <usize>arg(1), stretch))
  }
}

function nearest(x: usize, w: usize, d: i32, centroids: usize, stretch: usize): i32 {
  let least = f32x4.splat(Infinity)
  let best = i32x4.splat(0)
  let index = i32x4(0, 1, 2, 3)
  const end = centroids + stretch
  for (; centroids < end; centroids += 16) {
    let sum = f32x4.splat(0)
    let c = centroids
    for (let l: usize = 0; l < <usize>d << 2; l += 4, c += stretch) {
      const delta = f32x4.sub(v128.load_splat<f32>(x + l), v128.load(c))
      let square = f32x4.mul(delta, delta)
      if (w !== 0) square = f32x4.mul(square, v128.load_splat<f32>(w + l))
      sum = f32x4.add(sum, square)
    }
    best = v128.bitselect(index, best, f32x4.lt(sum, least))
    least = f32x4.pmin(least, sum)
    index = i32x4.add(index, i32x4.splat(4))
  }
  let distance = f32x4.extract_lane(least, 0)
  let nearest = i32x4.extract_lane(best, 0)
  for (let lane = 1; lane < 4; lane++) {
    least = v128.shuffle<i32>(least, least, 1, 2, 3, 0)
    best = v128.shuffle<i32>(best, best, 1, 2, 3, 0)
    const other = f32x4.extract_lane(least, 0)
    const candidate = i32x4.extract_lane(best, 0)
    if (other < distance || (other === distance && candidate < nearest)) {
      distance = other
      nearest = candidate
    }
  }
  return nearest
}

// C (+)= A B in float32, any operand transposed: panels of A (4 rows) and B (8 columns) are packed so that the
// micro-kernel reads both as one stream. Sums run over at most 256 products before they are added to C.
import { arg, share } from '../inference/job'
import { madd, zero } from '../inference/simd'

const DEPTH: i32 = 256
/** Rows of A packed at a time: with DEPTH columns they stay in the second-level cache. */
const BAND: i32 = 64

/** Packs `[depth, 8]` panels of B, from row `k0`, `count` columns from `j0`; missing columns are 0. */
function packB(b: usize, ld: usize, transposed: bool, k0: i32, depth: i32, j0: i32, count: i32, to: usize): void {
  const byRow: usize = transposed ? 4 : ld << 2
  const byCol: usize = transposed ? ld << 2 : 4
  for (let j = 0; j < count; j += 8) {
    const width = min(8, count - j)
    let from = b + <usize>k0 * byRow + <usize>(j0 + j) * byCol
    if (width === 8 && !transposed) {
      for (let k = 0; k < depth; k++, from += byRow, to += 32) {
        v128.store(to, v128.load(from))
        v128.store(to, v128.load(from, 16), 16)
      }
    } else {
      if (width < 8) zero(to, <usize>depth << 5)
      for (let c = 0; c < width; c++) {
        let at = to + (<usize>c << 2)
        let source = from + <usize>c * byCol
        for (let k = 0; k < depth; k++, at += 32, source += byRow) store<f32>(at, load<f32>(source))
      }
      to += <usize>depth << 5
    }
  }
}

/** Packs `[depth, 4]` panels of A, rows `i0 … i0 + count`; missing rows are 0. */
function packA(a: usize, ld: usize, transposed: bool, k0: i32, depth: i32, i0: i32, count: i32, to: usize): void {
  const byRow: usize = transposed ? 4 : ld << 2
  const byDepth: usize = transposed ? ld << 2 : 4
  for (let i = 0; i < count; i += 4) {
    const height = min(4, count - i)
    let from = a + <usize>(i0 + i) * byRow + <usize>k0 * byDepth
    if (height === 4 && transposed) {
      for (let k = 0; k < depth; k++, from += byDepth, to += 16) v128.store(to, v128.load(from))
    } else {
      if (height < 4) zero(to, <usize>depth << 4)
      for (let r = 0; r < height; r++) {
        let at = to + (<usize>r << 2)
        let source = from + <usize>r * byRow
        for (let k = 0; k < depth; k++, at += 16, source += byDepth) store<f32>(at, load<f32>(source))
      }
      to += <usize>depth << 4
    }
  }
}

/** Adds (or stores) two vectors to a row of C, of which `width` columns exist. */
// @ts-expect-error: decorator
@inline
function put(c: usize, low: v128, high: v128, width: i32, add: bool): void {
  if (width >= 8) {
    v128.store(c, add ? f32x4.add(v128.load(c), low) : low)
    v128.store(c, add ? f32x4.add(v128.load(c, 16), high) : high, 16)
    return
  }
  putPart(c, low, high, width, add)
}

function putPart(c: usize, low: v128, high: v128, width: i32, add: bool): void {
  for (let j = 0; j < width; j++, c += 4) {
    const value = f32x4.extract_lane(low, 0)
    store<f32>(c, add ? load<f32>(c) + value : value)
    low = v128.shuffle<i32>(low, high, 1, 2, 3, 4)
    high = v128.shuffle<i32>(high, high, 1, 2, 3, 0)
  }
}

/** 4 × 8 block of C from panels at `a` and `b`. */
function micro(a: usize, b: usize, depth: i32, c: usize, ldc: usize, height: i32, width: i32, add: bool): void {
  let c00 = f32x4.splat(0)
  let c01 = c00
  let c10 = c00
  let c11 = c00
  let c20 = c00
  let c21 = c00
  let c30 = c00
  let c31 = c00
  for (const end = a + (<usize>depth << 4); a < end; a += 16, b += 32) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    let x = v128.load_splat<f32>(a)
    c00 = madd(x, b0, c00)
    c01 = madd(x, b1, c01)
    x = v128.load_splat<f32>(a, 4)
    c10 = madd(x, b0, c10)
    c11 = madd(x, b1, c11)
    x = v128.load_splat<f32>(a, 8)
    c20 = madd(x, b0, c20)
    c21 = madd(x, b1, c21)
    x = v128.load_splat<f32>(a, 12)
    c30 = madd(x, b0, c30)
    c31 = madd(x, b1, c31)
  }
  put(c, c00, c01, width, add)
  if (height > 1) put(c + ldc, c10, c11, width, add)
  if (height > 2) put(c + 2 * ldc, c20, c21, width, add)
  if (height > 3) put(c + 3 * ldc, c30, c31, width, add)
}

/**
 * Arguments: a, b, c, m, n, k, floats between rows of A, of B, A transposed, B transposed, accumulate, scratch,
 * lower (only blocks that touch the lower triangle are computed). C has n columns. Each thread takes a band of
 * rows and has scratch of its own: `gemmScratch` bytes.
 */
export function gemmPart(part: i32, parts: i32, thread: i32): void {
  const m = arg(3)
  const n = arg(4)
  const k = arg(5)
  const lda = <usize>arg(6)
  const ldb = <usize>arg(7)
  const accumulate = arg(10) !== 0
  const lower = arg(12) !== 0
  const quads = (m + 3) >> 2
  const first = share(quads, part, parts) << 2
  const last = min(m, share(quads, part + 1, parts) << 2)
  const c = <usize>arg(2)
  const ldc = <usize>n << 2
  const packedB = <usize>arg(11) + <usize>thread * gemmScratch(n)
  const packedA = packedB + (<usize>DEPTH << 2) * ((<usize>n + 7) & ~7)
  for (let k0 = 0; k0 < k; k0 += DEPTH) {
    const depth = min(DEPTH, k - k0)
    const add = accumulate || k0 > 0
    packB(<usize>arg(1), ldb, arg(9) !== 0, k0, depth, 0, lower ? min(n, last) : n, packedB)
    for (let i0 = first; i0 < last; i0 += BAND) {
      const band = min(BAND, last - i0)
      packA(<usize>arg(0), lda, arg(8) !== 0, k0, depth, i0, band, packedA)
      const columns = lower ? min(n, i0 + band) : n
      for (let j = 0; j < columns; j += 8) {
        const b = packedB + (<usize>j * <usize>depth << 2)
        for (let i = 0; i < band; i += 4) {
          const at = c + <usize>(i0 + i) * ldc + (<usize>j << 2)
          micro(packedA + (<usize>i * <usize>depth << 2), b, depth, at, ldc, band - i, n - j, add)
        }
      }
    }
  }
}

/** Bytes of scratch that each thread needs for products with `n` columns. */
export function gemmScratch(n: i32): usize {
  return (<usize>DEPTH << 2) * (((<usize>n + 7) & ~7) + <usize>BAND)
}

/** Copies the lower triangle of `c` `[n, n]` to the upper one. */
export function mirror(c: usize, n: i32): void {
  const ld = <usize>n << 2
  for (let i0 = 0; i0 < n; i0 += 16) {
    for (let j0 = 0; j0 <= i0; j0 += 16) {
      for (let i = i0; i < min(n, i0 + 16); i++) {
        for (let j = j0; j < min(i, j0 + 16); j++) {
          store<f32>(c + <usize>j * ld + (<usize>i << 2), load<f32>(c + <usize>i * ld + (<usize>j << 2)))
        }
      }
    }
  }
}

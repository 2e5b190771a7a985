// A NeRV decoder on patches (ReALLM §3.3): a linear path from latents to blocks of pixels, convolutions, or both. Images
// between the convolutions are planes, one for each channel, with a border of zeros; a convolution computes 8 pixels
// of the 4 channels that its pixel shuffle puts into one plane, so that its results are written in place.
import { arg, put, share } from '../inference/job'
import { exp4, madd, zero } from '../inference/simd'

/** Floats to the left of a plane's pixels. */
const LEFT: i32 = 4

/** Floats from row to row of a plane: borders, and room for what the last vector of a row computes beyond it. */
// @ts-expect-error: decorator
@inline
function strideOf(side: i32): i32 {
  return ((side + 15) & ~15) + 2 * LEFT
}

// @ts-expect-error: decorator
@inline
function planeBytes(side: i32): usize {
  return <usize>((side + 2) * strideOf(side)) << 2
}

/** A decoder's header (int32): channels of the latents, stages, linear path, convolutions, then the planes' widths. */
// @ts-expect-error: decorator
@inline
function header(decoder: usize, index: i32): i32 {
  return load<i32>(decoder + (<usize>index << 2))
}

/** Planes after the stem (0) and after each stage. */
// @ts-expect-error: decorator
@inline
function widthAt(decoder: usize, stage: i32): i32 {
  return header(decoder, 4 + stage)
}

/** Bytes of the largest image between two layers; each thread needs twice as many. */
function imageBytes(decoder: usize, side: i32): usize {
  let most: usize = 0
  for (let s = 0; s <= header(decoder, 1); s++) {
    most = max(most, <usize>widthAt(decoder, s) * planeBytes(side << s))
  }
  return most
}

/** Bytes of scratch that each thread needs. */
export function nervScratch(decoder: usize, side: i32): usize {
  return 2 * imageBytes(decoder, side)
}

/** x·σ(1.702x) */
// @ts-expect-error: decorator
@inline
function gelu(x: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp4(f32x4.mul(x, f32x4.splat(-1.702)))))
}

/** tanh x = 2σ(2x) − 1 */
// @ts-expect-error: decorator
@inline
function tanh(x: v128): v128 {
  const one = f32x4.splat(1)
  return f32x4.sub(f32x4.div(f32x4.splat(2), f32x4.add(one, exp4(f32x4.mul(x, f32x4.splat(-2))))), one)
}

/** Zeroes what is no pixel of `count` planes. */
function clearBorders(planes: usize, count: i32, side: i32): void {
  const row = <usize>strideOf(side) << 2
  for (let c = 0; c < count; c++) {
    zero(planes, row)
    for (let y = 0; y < side; y++) {
      planes += row
      v128.store(planes, f32x4.splat(0))
      for (let at = planes + (<usize>(LEFT + side) << 2); at < planes + row; at += 4) store<f32>(at, 0)
    }
    planes += row
    zero(planes, row)
    planes += row
  }
}

/** Latents `[side, side, channels]` to blocks of 2^stages pixels: bias and weights `[channels]`, each of 4^stages. */
function linearPath(latents: usize, side: i32, channels: i32, stages: i32, layer: usize, out: usize): void {
  const block = 1 << stages
  const line = <usize>(side << stages) << 2
  const outputs = <usize>(block * block) << 2
  for (let y = 0; y < side; y++, out += line << stages) {
    let corner = out
    for (let x = 0; x < side; x++, latents += <usize>channels << 2, corner += <usize>block << 2) {
      if (stages === 1) {
        let a = v128.load(layer)
        for (let c = 0; c < channels; c++) {
          const w = layer + <usize>(c + 1) * outputs
          a = madd(v128.load(w), v128.load_splat<f32>(latents + (<usize>c << 2)), a)
        }
        v128.store64_lane(corner, a, 0)
        v128.store64_lane(corner + line, a, 1)
        continue
      }
      for (let j: usize = 0; j < outputs; j += 64) {
        let w = layer + j
        let a0 = v128.load(w)
        let a1 = v128.load(w, 16)
        let a2 = v128.load(w, 32)
        let a3 = v128.load(w, 48)
        for (let c = 0; c < channels; c++) {
          w += outputs
          const v = v128.load_splat<f32>(latents + (<usize>c << 2))
          a0 = madd(v128.load(w), v, a0)
          a1 = madd(v128.load(w, 16), v, a1)
          a2 = madd(v128.load(w, 32), v, a2)
          a3 = madd(v128.load(w, 48), v, a3)
        }
        v128.store(pixelOf(corner, j, stages, line), a0)
        v128.store(pixelOf(corner, j + 16, stages, line), a1)
        v128.store(pixelOf(corner, j + 32, stages, line), a2)
        v128.store(pixelOf(corner, j + 48, stages, line), a3)
      }
    }
  }
}

/** Where output `j`, in bytes, of a block lies; blocks of at least 4 × 4. */
// @ts-expect-error: decorator
@inline
function pixelOf(corner: usize, j: usize, stages: i32, line: usize): usize {
  const row = (<usize>1 << (stages + 2)) - 1
  return corner + (j >> (stages + 2)) * line + (j & row)
}

/** 1×1 convolution and GELU, to planes; bias and weights `[channels]`, each padded to a multiple of 4 outputs. */
function stem(latents: usize, side: i32, channels: i32, layer: usize, width: i32, planes: usize): void {
  const outputs = <usize>((width + 3) & ~3) << 2
  const row = <usize>strideOf(side) << 2
  const plane = planeBytes(side)
  for (let y = 0; y < side; y++) {
    let pixel = planes + <usize>(y + 1) * row + (LEFT << 2)
    for (let x = 0; x < side; x++, latents += <usize>channels << 2, pixel += 4) {
      let to = pixel
      for (let j = 0; j < width; j += 4) {
        let w = layer + (<usize>j << 2)
        let a = v128.load(w)
        for (let c = 0; c < channels; c++) {
          w += outputs
          a = madd(v128.load(w), v128.load_splat<f32>(latents + (<usize>c << 2)), a)
        }
        a = gelu(a)
        for (let i = j; i < min(width, j + 4); i++, to += plane) {
          store<f32>(to, f32x4.extract_lane(a, 0))
          a = v128.shuffle<i32>(a, a, 1, 2, 3, 0)
        }
      }
    }
  }
  clearBorders(planes, width, side)
}

/**
 * 3×3 convolution to 4 × `width` channels, GELU and pixel shuffle ×2. For each plane of the result 4 biases and
 * `[planes of the input, 9]` times 4 weights: those of the pixels above left, above right, below left, below right.
 */
function convolve(from: usize, side: i32, planes: i32, layer: usize, width: i32, to: usize): void {
  const row = <usize>strideOf(side) << 2
  const next = <usize>strideOf(2 * side) << 2
  const plane = planeBytes(side)
  for (let i = 0; i < width; i++) {
    for (let y = 0; y < side; y++) {
      const line = from + <usize>y * row + (<usize>(LEFT - 1) << 2)
      let out = to + <usize>(2 * y + 1) * next + (LEFT << 2)
      for (let x = 0; x < side; x += 8, out += 64) {
        let w = layer
        let a0 = v128.load_splat<f32>(w)
        let a1 = a0
        let b0 = v128.load_splat<f32>(w, 4)
        let b1 = b0
        let c0 = v128.load_splat<f32>(w, 8)
        let c1 = c0
        let d0 = v128.load_splat<f32>(w, 12)
        let d1 = d0
        let corner = line + (<usize>x << 2)
        for (let p = 0; p < planes; p++, corner += plane) {
          let at = corner
          for (let dy = 0; dy < 3; dy++, at += row) {
            for (let dx: usize = 0; dx < 12; dx += 4) {
              w += 16
              const low = v128.load(at + dx)
              const high = v128.load(at + dx, 16)
              let v = v128.load_splat<f32>(w)
              a0 = madd(v, low, a0)
              a1 = madd(v, high, a1)
              v = v128.load_splat<f32>(w, 4)
              b0 = madd(v, low, b0)
              b1 = madd(v, high, b1)
              v = v128.load_splat<f32>(w, 8)
              c0 = madd(v, low, c0)
              c1 = madd(v, high, c1)
              v = v128.load_splat<f32>(w, 12)
              d0 = madd(v, low, d0)
              d1 = madd(v, high, d1)
            }
          }
        }
        storePairs(out, gelu(a0), gelu(b0))
        storePairs(out + 32, gelu(a1), gelu(b1))
        storePairs(out + next, gelu(c0), gelu(d0))
        storePairs(out + next + 32, gelu(c1), gelu(d1))
      }
    }
    layer += <usize>(1 + 9 * planes) << 4
    to += planeBytes(2 * side)
  }
  clearBorders(to - <usize>width * planeBytes(2 * side), width, 2 * side)
}

// @ts-expect-error: decorator
@inline
function storePairs(to: usize, left: v128, right: v128): void {
  v128.store(to, v128.shuffle<i32>(left, right, 0, 4, 1, 5))
  v128.store(to, v128.shuffle<i32>(left, right, 2, 6, 3, 7), 16)
}

/** 3×3 convolution to one channel, added to what is there, or through tanh; `side` is a multiple of 16. */
function head(from: usize, side: i32, planes: i32, layer: usize, out: usize, add: bool): void {
  const row = <usize>strideOf(side) << 2
  const plane = planeBytes(side)
  for (let y = 0; y < side; y++) {
    const line = from + <usize>y * row + (<usize>(LEFT - 1) << 2)
    for (let x = 0; x < side; x += 16, out += 64) {
      let w = layer
      let a0 = v128.load_splat<f32>(w)
      let a1 = a0
      let a2 = a0
      let a3 = a0
      let corner = line + (<usize>x << 2)
      for (let p = 0; p < planes; p++, corner += plane) {
        let at = corner
        for (let dy = 0; dy < 3; dy++, at += row) {
          for (let dx: usize = 0; dx < 12; dx += 4) {
            w += 4
            const v = v128.load_splat<f32>(w)
            a0 = madd(v, v128.load(at + dx), a0)
            a1 = madd(v, v128.load(at + dx, 16), a1)
            a2 = madd(v, v128.load(at + dx, 32), a2)
            a3 = madd(v, v128.load(at + dx, 48), a3)
          }
        }
      }
      finish(out, a0, add)
      finish(out + 16, a1, add)
      finish(out + 32, a2, add)
      finish(out + 48, a3, add)
    }
  }
}

// @ts-expect-error: decorator
@inline
function finish(out: usize, value: v128, add: bool): void {
  v128.store(out, add ? f32x4.add(v128.load(out), value) : tanh(value))
}

/** Puts the arguments of `nervPart`; returns about how many multiplications they take. */
export function putNerv(
  decoder: usize, latents: usize, count: i32, side: i32, layers: usize, out: usize, scratch: usize,
): i64 {
  put(0, decoder)
  put(1, latents)
  put(2, count)
  put(3, side)
  put(4, layers)
  put(5, out)
  put(6, scratch)
  return (<i64>count * side * side * header(decoder, 0)) << (2 * header(decoder, 1))
}

/**
 * Arguments: decoder (its header), latents `[count, side, side, channels]`, count, side, layers (linear path, stem, stages,
 * head; see the functions above), out `[count, side·2^stages, side·2^stages]`, scratch. Each thread takes a share of the
 * patches.
 */
export function nervPart(part: i32, parts: i32, thread: i32): void {
  const decoder = <usize>arg(0)
  const channels = header(decoder, 0)
  const stages = header(decoder, 1)
  const linear = header(decoder, 2) !== 0
  const side = arg(3)
  const image = imageBytes(decoder, side)
  const scratch = <usize>arg(6) + 2 * image * <usize>thread
  const pixels = <usize>(side * side) << (2 * stages + 2)
  const last = share(arg(2), part + 1, parts)
  for (let n = share(arg(2), part, parts); n < last; n++) {
    const latents = <usize>arg(1) + (<usize>(n * side * side * channels) << 2)
    const out = <usize>arg(5) + <usize>n * pixels
    let layer = <usize>arg(4)
    if (linear) {
      linearPath(latents, side, channels, stages, layer, out)
      layer += <usize>(1 + channels) << (2 * stages + 2)
    }
    if (header(decoder, 3) === 0) continue
    let from = scratch
    let to = scratch + image
    stem(latents, side, channels, layer, widthAt(decoder, 0), from)
    layer += <usize>((1 + channels) * ((widthAt(decoder, 0) + 3) & ~3)) << 2
    for (let s = 0; s < stages; s++) {
      const width = widthAt(decoder, s)
      const wider = widthAt(decoder, s + 1)
      convolve(from, side << s, width, layer, wider, to)
      layer += <usize>(wider * (1 + 9 * width)) << 4
      const before = from
      from = to
      to = before
    }
    head(from, side << stages, widthAt(decoder, stages), layer, out, linear)
  }
}

// One Kronecker factor of a Hadamard transform, applied in place to data seen as blocks of `order` × `stride` floats.

/** Butterflies of a Sylvester factor; `order` is a power of two. Values are multiplied by `scale` at the end. */
export function butterflies(data: usize, count: i32, order: i32, stride: i32, scale: f32): void {
  const end = data + (<usize>count << 2)
  for (let half = stride; half < order * stride; half <<= 1) {
    const last = half * 2 === order * stride
    stage(data, end, <usize>half << 2, last ? scale : 1)
  }
}

function stage(data: usize, end: usize, half: usize, scale: f32): void {
  const factor = f32x4.splat(scale)
  let at = data
  if (half === 4) {
    const signs = f32x4(1, -1, 1, -1)
    for (; at + 16 <= end; at += 16) {
      const v = v128.load(at)
      const sums = f32x4.add(v128.shuffle<i32>(v, v, 0, 0, 2, 2), f32x4.mul(v128.shuffle<i32>(v, v, 1, 1, 3, 3), signs))
      v128.store(at, f32x4.mul(sums, factor))
    }
  } else if (half === 8) {
    const signs = f32x4(1, 1, -1, -1)
    for (; at + 16 <= end; at += 16) {
      const v = v128.load(at)
      const sums = f32x4.add(v128.shuffle<i32>(v, v, 0, 1, 0, 1), f32x4.mul(v128.shuffle<i32>(v, v, 2, 3, 2, 3), signs))
      v128.store(at, f32x4.mul(sums, factor))
    }
  }
  for (; at < end; at += half) {
    const stop = at + half
    for (; at + 16 <= stop; at += 16) {
      const a = v128.load(at)
      const b = v128.load(at + half)
      v128.store(at, f32x4.mul(f32x4.add(a, b), factor))
      v128.store(at + half, f32x4.mul(f32x4.sub(a, b), factor))
    }
    for (; at < stop; at += 4) {
      const a = load<f32>(at)
      const b = load<f32>(at + half)
      store<f32>(at, (a + b) * scale)
      store<f32>(at + half, (a - b) * scale)
    }
  }
}

/** A dense factor `h` `[order, order]`; `scratch` holds `order` vectors of 16 bytes. */
export function denseFactor(data: usize, count: i32, h: usize, order: i32, stride: i32, scratch: usize): void {
  const step = <usize>stride << 2
  const end = data + (<usize>count << 2)
  const vectors = scratch + (<usize>order << 4)
  for (let block = data; block < end; block += <usize>order * step) {
    let c: usize = 0
    for (; c + 16 <= step; c += 16) {
      let from = block + c
      for (let to = scratch; to < vectors; to += 16, from += step) v128.store(to, v128.load(from))
      let to = block + c
      for (let i = 0; i < order; i++, to += step) {
        let sum = f32x4.splat(0)
        let row = h + (<usize>(i * order) << 2)
        for (let x = scratch; x < vectors; x += 16, row += 4) {
          sum = f32x4.add(sum, f32x4.mul(v128.load_splat<f32>(row), v128.load(x)))
        }
        v128.store(to, sum)
      }
    }
    for (; c < step; c += 4) {
      let from = block + c
      for (let to = scratch; to < vectors; to += 16, from += step) store<f32>(to, load<f32>(from))
      let to = block + c
      for (let i = 0; i < order; i++, to += step) {
        let sum: f32 = 0
        let row = h + (<usize>(i * order) << 2)
        for (let x = scratch; x < vectors; x += 16, row += 4) sum += load<f32>(row) * load<f32>(x)
        store<f32>(to, sum)
      }
    }
  }
}

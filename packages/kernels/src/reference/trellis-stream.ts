import { laneBytes } from '../decode/trellis-stream.ts'
import type { Pointer } from '../inference/kernels.ts'
import { integerAt, padded } from './block-places.ts'

interface StreamAt {
  readonly codes: Pointer
  readonly rows: number
  /** A multiple of 16. */
  readonly cols: number
  readonly rowBytes: number
  readonly rates: Pointer
  readonly tables: Pointer
  readonly stateBits: number
}

/** The weights of a code as `trellisStream` orders it, in blocks of 4 rows × 16 columns. */
export function blockedTrellis(memory: WebAssembly.Memory, at: StreamAt): Int8Array {
  const { codes, rows, cols, rowBytes, rates, tables, stateBits } = at
  const bytes = new Uint8Array(memory.buffer)
  const view = new DataView(memory.buffer)
  const out = new Int8Array(padded(rows) * cols)
  const places = Array.from({ length: 25 }, (_, rate) => laneBytes(rate))

  /** The value of the state at bit `bit` of a tile of `length` bits. */
  function valueAt(tile: Pointer, length: number, bit: number, rate: number): number {
    let state = 0
    for (let i = stateBits - 1; i >= 0; i--) {
      const place = (bit + i) % length
      state = 2 * state + ((bytes[tile + places[rate][place >> 3]] >> (place & 7)) & 1)
    }
    const [even, odd] = [0, 4].map(which => view.getUint32(tables + 8 * rate + which, true))
    // any pair whose second state is this one has its value in the high byte
    return odd === 0 ? view.getInt8(even + state) : view.getInt8(even + 2 * state + 1)
  }

  for (let r = 0; r < padded(rows); r++) {
    let tile = codes + (r >> 4) * rowBytes
    for (let c = 0; c < cols; c++) {
      const rate = bytes[rates + (c >> 4)]
      const t = (r & 15) * 16 + (c & 15)
      out[integerAt(r, c, cols)] = valueAt(tile, 64 * rate, 64 * rate - (((t + 1) * rate) >> 2), rate)
      if ((c & 15) === 15) tile += 8 * rate
    }
  }
  return out
}

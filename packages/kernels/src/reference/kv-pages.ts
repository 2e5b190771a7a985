import { PAGE_POSITIONS as PAGE, pageBytes, pagedWidth } from '../inference/kv-pages.ts'

/** Where a position's keys and values of one head are: the head's part of a page, its width, the place in it. */
export interface PagePlace {
  readonly at: number
  readonly width: number
  readonly place: number
}

/** `pages` are the addresses of pages from position 0 on. */
export const placeOf = (pages: Uint32Array, position: number, head: number, headDim: number): PagePlace => ({
  at: pages[Math.floor(position / PAGE)] + head * pageBytes(1, headDim),
  width: pagedWidth(headDim),
  place: position % PAGE,
})

/** Address of dimension `d`, and of the scale. */
function addresses({ at, width, place }: PagePlace, of: 'key' | 'value') {
  const values = at + PAGE * width
  const scales = values + PAGE * width
  return of === 'key'
    ? {
        of: (d: number) => at + 2 * PAGE * (d >> 1) + 2 * place + (d & 1),
        scale: scales + 4 * place,
      }
    : {
        of: (d: number) => values + 2 * width * (place >> 1) + 2 * d + (place & 1),
        scale: scales + 4 * (PAGE + place),
      }
}

/** Stores floats with 8 bits and their scale; rounded as the kernels do, in float32, so that near ties become the same bytes. */
export function storePaged(
  memory: WebAssembly.Memory,
  place: PagePlace,
  of: 'key' | 'value',
  x: Float32Array,
): void {
  const view = new DataView(memory.buffer)
  const to = addresses(place, of)
  const top = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  view.setFloat32(to.scale, top / 127, true)
  const factor = top > 0 ? Math.fround(127 / top) : 0
  for (const [d, value] of x.entries()) view.setInt8(to.of(d), Math.round(Math.fround(factor * value)))
}

/** Reads what `storePaged` stored. */
export function loadPaged(
  memory: WebAssembly.Memory,
  place: PagePlace,
  of: 'key' | 'value',
  to: Float32Array,
): void {
  const view = new DataView(memory.buffer)
  const from = addresses(place, of)
  const scale = view.getFloat32(from.scale, true)
  for (let d = 0; d < to.length; d++) to[d] = scale * view.getInt8(from.of(d))
}

/** Positions whose keys and values lie in one page. */
export const PAGE_POSITIONS = 128

/** `headDim` as a page holds it. */
export const pagedWidth = (headDim: number): number => 8 * Math.ceil(headDim / 8)

/**
 * Bytes of a page: for each head keys i8 `[width / 2, 128, 2]` (pairs of dimensions of each position), values i8
 * `[64, width, 2]` (pairs of positions of each dimension), and their scales f32 `[2, 128]`.
 */
export const pageBytes = (kvHeads: number, headDim: number): number =>
  kvHeads * PAGE_POSITIONS * (2 * pagedWidth(headDim) + 8)

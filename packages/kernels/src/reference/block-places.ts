export const padded = (rows: number) => Math.ceil(rows / 4) * 4

/** Blocks of 4 rows × 16 columns. */
export const integerAt = (r: number, c: number, stride: number) =>
  (r & ~3) * stride + ((c & ~15) << 2) + ((r & 3) << 4) + (c & 15)

/** Blocks of 4 rows × 4 columns. */
export const floatAt = (r: number, c: number, stride: number) =>
  (r & ~3) * stride + ((c & ~3) << 2) + ((r & 3) << 2) + (c & 3)

import * as z from 'zod'

export const trellisParams = z.strictObject({
  /**
   * Mean bits per weight, 1–6 and at most `stateBits` − 3. Each column of tiles is coded at a quarter of a bit: the same
   * or the nearest two, behind feedback rounding more where an error costs more.
   */
  bits: z.number().min(1).max(6),
  /** L: bits of a state. Two more take about four times as long and lower the error by 1–7 %. */
  stateBits: z.int().min(8).max(16).default(10),
  /**
   * What states stand for. `gauss`: a fixed table optimised for normal weights (any L; nothing stored). `hash`: computed
   * from the state (QTIP's 1MAD; any L; nothing stored). `trained`: fitted to the matrix and stored with 8 or 16 bits a
   * value, for weights that no rotation has made normal. `network`: a small network on the state's bits, fitted to the
   * matrix or to a group of them, corrects the fixed table (any L; 8 bits a weight are stored).
   */
  values: z.enum(['gauss', 'hash', 'trained', 'network']).default('gauss'),
  /** Bits of a stored value of a trained table. */
  tableBits: z.literal([8, 16]).default(8),
  /** Hidden units of a network: each takes L + 3 bytes. */
  hidden: z.int().min(1).max(64).default(12),
  /** One f32 scale for the matrix, or an f16 one for each row. */
  scale: z.enum(['matrix', 'row']).default('matrix'),
  /** Factor on the scale: above 1 where feedback will widen the values to come. */
  gain: z.number().positive().default(1),
})

export type TrellisParams = z.input<typeof trellisParams>

/** The parameters with their defaults filled in. */
export type Full = z.output<typeof trellisParams>

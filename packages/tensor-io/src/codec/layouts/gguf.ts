import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import type { Matrix } from '../../core/tensor.ts'
import type { Fields } from '../field.ts'
import { decodeBlocks } from '../gguf-blocks/decode.ts'
import { iq1Grid, iq2sGrid, iq2xsGrid, iq2xxsGrid, iq3sGrid, iq3xxsGrid } from '../gguf-blocks/grids.ts'
import { blockTypes, type GgufType } from '../gguf-blocks/types.ts'
import type { Stored, StoredLayout } from '../layout.ts'

const params = {
  /** Name of the block type: `Q4_K`. */
  type: { of: /* @__PURE__ */ [...blockTypes.keys()] },
} as const satisfies Fields

/**
 * Blocks of a GGUF type, as llama.cpp reads them.
 *
 * Parts: `blocks` U8 `[rows, bytes of a row]`.
 */
export const ggufLayout: StoredLayout<typeof params> = {
  codec: 'gguf',
  params,
  parts([rows, cols], { type }) {
    const { block, bytes } = ggufBlockType(type)
    if (cols % block !== 0) {
      throw new ReallmError(
        'bad-option',
        `${type} ${shapeText([rows, cols])}: ${block} does not divide ${cols}`,
        {
          hint:
            cols % 32 === 0
              ? `its blocks hold ${block} weights of a row; use a type with smaller blocks, like Q4_0 with 32`
              : 'no type of GGUF has smaller blocks than 32 weights of a row; use the target reallm',
        },
      )
    }
    return { blocks: { dtype: 'U8', shape: [rows, (cols / block) * bytes] } }
  },
}

/** Weights and bytes of a block. */
export const ggufBlockType = (name: string): GgufType => blockTypes.get(name)!

/** Rows `from` to `to` (exclusive), decoded to the bit as llama.cpp does. */
export function readGguf(
  { parts, params, shape: [rows, cols] }: Stored<typeof ggufLayout>,
  from: number,
  to: number,
): Matrix {
  const bytes = parts.blocks.data as Uint8Array
  const rowBytes = bytes.length / rows
  const data = decodeBlocks(ggufBlockType(params.type), bytes.subarray(from * rowBytes, to * rowBytes))
  return { rows: to - from, cols, data }
}

/** The points of the IQ types, one after the other: `iq2xxs`, `iq2xs`, `iq2s` and `iq1` have 8 weights each, the others 4. */
export const ggufGrids = {
  iq1: iq1Grid,
  iq2xxs: iq2xxsGrid,
  iq2xs: iq2xsGrid,
  iq2s: iq2sGrid,
  iq3xxs: iq3xxsGrid,
  iq3s: iq3sGrid,
}

/** What kernels of codes in rows (`grid`, `normalfloat`, `kmeans`, whole numbers, floats) are made for. */
export interface CodedKernel {
  readonly kind: 'coded'
  /** Bits of a code; 16 and 32 are those of a float. */
  readonly bits: number
  /** Neighbouring weights that share a code: 1, 2, 4 or 8. */
  readonly dim: number
  /** `uniform`: a code stands for itself; `table`: for values that are stored with the matrix. */
  readonly values: 'uniform' | 'table' | 'float'
  /** Bits of a scale, 0 where there are none. */
  readonly scaleBits: 0 | 16 | 32
  /** Whether a group has a value that is taken off before it is scaled. */
  readonly shifts: boolean
  /** Whether groups are whole units of 8 weights. */
  readonly aligned: boolean
}

/** Weights that an invocation decodes together. */
export const UNIT = 8

/**
 * WGSL that decodes a unit of 8 neighbouring weights of a row. Expects `rowAt` (first word of the row in `codes`), `unit` (which
 * 8 weights of it), and of the matrix `table`, `scales`, `shifts` (places in `codes`), `scaleAt` (of the row's first group),
 * `group` (columns that share a scale) and `groups` (of a row). Declares `u0` to `u7`.
 */
export function codedUnit(kernel: CodedKernel): string {
  const { bits, dim, scaleBits, shifts, aligned } = kernel
  const count = UNIT / dim
  const span = bits * count
  const words = Math.ceil(span / 32)
  const lines: string[] = []
  if (span % 32 === 0) {
    for (let w = 0; w < words; w++) lines.push(`let a${w} = codes[rowAt + unit * ${words}u + ${w}u];`)
  } else {
    lines.push(`let bit = unit * ${span}u;`, 'let low = bit & 31u;', 'let word = rowAt + (bit >> 5u);')
    for (let w = 0; w <= words; w++) lines.push(`let b${w} = codes[word + ${w}u];`)
    // A shift by 32 is none in WGSL, so the second word is shifted in two steps.
    for (let w = 0; w < words; w++)
      lines.push(`let a${w} = (b${w} >> low) | ((b${w + 1} << 1u) << (31u - low));`)
  }
  for (let c = 0; c < count; c++) {
    const code = field(c * bits, bits)
    for (let j = 0; j < dim; j++) lines.push(`let t${c * dim + j} = ${valueExpression(kernel, code, j)};`)
  }
  if (scaleBits === 0) {
    for (let j = 0; j < UNIT; j++) lines.push(`let u${j} = t${j};`)
    return lines.join('\n')
  }
  if (aligned) lines.push(`let g = scaleAt + (unit * ${UNIT}u) / group;`, ...scaleOf('g', kernel, 's', 'z'))
  for (let j = 0; j < UNIT; j++) {
    const [s, z] = aligned ? ['s', 'z'] : [`s${j}`, `z${j}`]
    if (!aligned) {
      lines.push(
        `let g${j} = scaleAt + min((unit * ${UNIT}u + ${j}u) / group, groups - 1u);`,
        ...scaleOf(`g${j}`, kernel, s, z),
      )
    }
    lines.push(`let u${j} = ${s} * ${shifts ? `(t${j} - ${z})` : `t${j}`};`)
  }
  return lines.join('\n')
}

/** `width` bits of the words a0, a1, … from bit `from` on, the lowest bit of a0 being bit 0. */
function field(from: number, width: number): string {
  const [word, bit] = [from >> 5, from & 31]
  if (width === 32) return `a${word}`
  const mask = `${2 ** width - 1}u`
  if (bit + width <= 32) return `((a${word} >> ${bit}u) & ${mask})`
  return `(((a${word} >> ${bit}u) | (a${word + 1} << ${32 - bit}u)) & ${mask})`
}

function valueExpression({ bits, dim, values }: CodedKernel, code: string, j: number): string {
  if (values === 'uniform') return `f32(${code})`
  if (values === 'float') return bits === 32 ? `bitcast<f32>(${code})` : `unpack2x16float(${code}).x`
  return `bitcast<f32>(codes[table + ${code} * ${dim}u + ${j}u])`
}

function scaleOf(g: string, { scaleBits, shifts }: CodedKernel, s: string, z: string): string[] {
  const at = (base: string) =>
    scaleBits === 32
      ? `bitcast<f32>(codes[${base} + ${g}])`
      : `unpack2x16float(codes[${base} + (${g} >> 1u)] >> (16u * (${g} & 1u))).x`
  return [`let ${s} = ${at('scales')};`, ...(shifts ? [`let ${z} = ${at('shifts')};`] : [])]
}

import { factorMatrix, type HadamardFactor, hadamardPlan } from '../hadamard-plan.ts'

/** Largest dense factor whose sums are written out. */
const WRITTEN_OUT = 28
/** Order of the butterflies that an invocation makes in registers. */
const RADIX = 16

/** How kernels of vectors reach their values and wait for each other. */
export interface VectorAccess {
  readonly at: (index: string) => string
  readonly barrier: string
  readonly workgroupSize: number
}

/**
 * WGSL of the orthogonal transform of `hadamardPlan(width)` over the values of a workgroup, in place: a function
 * `rotate<width>(i, matrices)`, factor by factor, a barrier after each. `matrices` is where {@link rotationMatrices} lie in
 * `constants`.
 */
export function rotation(width: number, access: VectorAccess): string {
  const steps: string[] = []
  let inner = width
  let matrices = 0
  for (const factor of hadamardPlan(width)) {
    inner /= factor.size
    if (factor.kind === 'sylvester') {
      for (let left = factor.size; left > 1; ) {
        const order = Math.min(RADIX, left)
        left /= order
        steps.push(inRegisters(width, order, inner * left, butterflies(order), access))
      }
    } else if (factor.size <= WRITTEN_OUT) {
      steps.push(inRegisters(width, factor.size, inner, denseSums(factor), access))
    } else {
      steps.push(denseLoop(width, factor.size, inner, matrices, access))
      matrices += factor.size ** 2
    }
  }
  return `fn rotate${width}(i: u32, matrices: u32) {
  ${[access.barrier, ...steps.map(step => `${step}\n  ${access.barrier}`)].join('\n  ')}
}`
}

/** The dense factors of a width that its kernel reads, one after another. */
export const rotationMatrices = (width: number): Float32Array[] =>
  hadamardPlan(width)
    .filter(({ kind, size }) => kind !== 'sylvester' && size > WRITTEN_OUT)
    .map(factorMatrix)

const range = (n: number) => Array.from({ length: n }, (_, j) => j)

/** Each invocation loads the `order` values of a line, makes b0, b1, … of a0, a1, …, and writes them back. */
function inRegisters(
  width: number,
  order: number,
  stride: number,
  sums: string,
  { at, workgroupSize }: VectorAccess,
): string {
  const place = (j: number) => at(`from_ + ${j * stride}u`)
  return `for (var line = i; line < ${width / order}u; line += ${workgroupSize}u) {
    let from_ = (line / ${stride}u) * ${order * stride}u + line % ${stride}u;
    ${range(order)
      .map(j => `let a${j} = ${place(j)};`)
      .join(' ')}
    ${sums}
    ${range(order)
      .map(j => `${place(j)} = b${j};`)
      .join(' ')}
  }`
}

function butterflies(order: number): string {
  const lines: string[] = []
  let names = range(order).map(j => `a${j}`)
  for (let half = 1, level = 0; half < order; half *= 2, level++) {
    const isLast = 2 * half === order
    const next = range(order).map(j => (isLast ? `b${j}` : `c${level}_${j}`))
    const factor = isLast ? `${1 / Math.sqrt(order)} * ` : ''
    for (const j of range(order)) {
      if ((j & half) !== 0) continue
      const [a, b] = [names[j], names[j + half]]
      lines.push(
        `let ${next[j]} = ${factor}(${a} + ${b});`,
        `let ${next[j + half]} = ${factor}(${a} - ${b});`,
      )
    }
    names = next
  }
  return lines.join(' ')
}

function denseSums(factor: HadamardFactor): string {
  const m = factorMatrix(factor)
  const { kind, size } = factor
  return range(size)
    .map(i => {
      if (kind === 'dct') {
        return `let b${i} = ${range(size)
          .map(j => `${wgslFloat(m[i * size + j])} * a${j}`)
          .join(' + ')};`
      }
      const signed = range(size).map(j => `${m[i * size + j] < 0 ? '-' : '+'} a${j}`)
      return `let b${i} = ${1 / Math.sqrt(size)} * (0.0 ${signed.join(' ')});`
    })
    .join('\n    ')
}

/** A number as a literal that is no integer, in brackets. */
const wgslFloat = (v: number): string => `(${Number.isInteger(v) ? `${v}.0` : String(v)})`

/** Sums are kept until all invocations have read their values. */
function denseLoop(
  width: number,
  size: number,
  inner: number,
  matrix: number,
  { at, barrier, workgroupSize }: VectorAccess,
): string {
  const count = Math.ceil(width / workgroupSize)
  return `{
    var kept: array<f32, ${count}>;
    for (var n = 0u; n < ${count}u; n++) {
      let e = i + n * ${workgroupSize}u;
      if (e >= ${width}u) { break; }
      let row = (e / ${inner}u) % ${size}u;
      let from_ = (e / ${size * inner}u) * ${size * inner}u + e % ${inner}u;
      var sum = 0.0;
      for (var j = 0u; j < ${size}u; j++) {
        sum += bitcast<f32>(constants[matrices + ${matrix}u + row * ${size}u + j]) * ${at(`from_ + j * ${inner}u`)};
      }
      kept[n] = sum;
    }
    ${barrier}
    for (var n = 0u; n < ${count}u; n++) {
      let e = i + n * ${workgroupSize}u;
      if (e < ${width}u) { ${at('e')} = kept[n]; }
    }
  }`
}

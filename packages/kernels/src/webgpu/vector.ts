import { EMBEDDING_WORDS, type EmbeddingKernel, embedding } from './embedding.ts'
import type { RareStepName, rareSteps } from './rare-steps.ts'
import { rotation, type VectorAccess } from './rotation.ts'
import { RUN } from './run.ts'
import { beginTotal, enableTotal, totalBuiltins, totalOf } from './total.ts'
import { VectorOp, type VectorOpName, vectorArguments } from './vector-ops.ts'

/** What a kernel of vectors is made for. */
export interface VectorKernel {
  /** Steps that occur. */
  readonly ops: readonly VectorOpName[]
  /** Values of the longest vector. */
  readonly size: number
  /** Widths that are rotated. */
  readonly rotations: readonly number[]
  /** `storage` where workgroup memory does not suffice. */
  readonly memory: 'workgroup' | 'storage'
  readonly workgroupSize: number
  readonly cache: 'f16' | 'f32'
  readonly embedding: EmbeddingKernel | undefined
  /** See `KernelFeatures`. */
  readonly subgroups: number
}

/** Buffers of kernels of vectors; a kernel binds those that {@link vectorBindings} lists. */
export const VectorBinding = {
  run: 0,
  args: 1,
  constants: 2,
  y: 3,
  x: 4,
  activations: 5,
  cache: 6,
  codes: 7,
  tables: 8,
  ids: 9,
  rope: 10,
  partials: 11,
  scratch: 12,
} as const
/** The names of what a kernel on vectors is bound to. */
export type VectorBindingName = keyof typeof VectorBinding

const reads: Partial<Record<VectorOpName, readonly VectorBindingName[]>> = {
  embed: ['codes', 'ids'],
  product: ['y'],
  load: ['activations'],
  attended: ['partials', 'constants'],
  scale: ['constants'],
  rotateInput: ['constants'],
  rotateOutput: ['constants'],
  bias: ['constants'],
  lowRankInput: ['constants', 'x'],
  lowRankOutput: ['constants', 'x'],
  norm: ['constants'],
  residual: ['activations'],
  store: ['activations'],
  input: ['x'],
  rope: ['rope'],
  cache: ['cache'],
  route: ['y'],
  only: ['y'],
  rows: ['ids'],
  unit: ['ids'],
  mix: ['y'],
}

/** The buffers that a kernel binds. */
export function vectorBindings({ ops, memory, embedding: of }: VectorKernel): VectorBindingName[] {
  const used = new Set<VectorBindingName>(['run', 'args', ...ops.flatMap(op => reads[op] ?? [])])
  if (of?.kind === 'trellis' && ops.includes('embed')) used.add('tables')
  if (memory === 'storage') used.add('scratch')
  return (Object.keys(VectorBinding) as VectorBindingName[]).filter(name => used.has(name))
}

const written: readonly VectorBindingName[] = ['x', 'activations', 'cache', 'scratch']
const typeOf: Partial<Record<VectorBindingName, string>> = {
  ...{ y: 'array<f32>', x: 'array<f32>', activations: 'array<f32>' },
  ...{ rope: 'array<f32>', partials: 'array<f32>', scratch: 'array<f32>' },
}

/** Whether a kernel keeps a second vector. */
const keeps = (ops: readonly VectorOpName[]): boolean =>
  ops.some(op => op === 'keep' || op === 'clear' || op === 'route')

/** Bytes of workgroup memory of a kernel whose vectors are in it. */
export const vectorBytes = (ops: readonly VectorOpName[], size: number, workgroupSize: number): number =>
  4 * ((keeps(ops) ? 2 : 1) * size + workgroupSize)

/**
 * WGSL of what happens to a vector between two products: a workgroup takes one token through a list of steps, with the vector in
 * workgroup memory. Fusing them saves launches; which ones and on what is data, so that a few kernels serve all layers. `args`
 * begins with where the list of each slot (workgroup x) begins; workgroup y is the token.
 *
 * @param rare the code of steps that few models have, where there are such steps
 */
export function vectorKernel(kernel: VectorKernel, rare?: typeof rareSteps): string {
  const { ops, size, memory, workgroupSize, cache } = kernel
  const isShared = memory === 'workgroup'
  const at = (index: string) => (isShared ? `v[${index}]` : `scratch[place + ${index}]`)
  const kept = (index: string) => (isShared ? `u[${index}]` : `scratch[place + ${size}u + ${index}]`)
  const barrier = isShared ? 'workgroupBarrier();' : 'workgroupBarrier(); storageBarrier();'
  const access: VectorAccess = { at, barrier, workgroupSize }
  const each = (n: string, body: string) => `for (var e = i; e < ${n}; e += ${workgroupSize}u) { ${body} }`
  const constant = (index: string) => `bitcast<f32>(constants[${index}])`
  const signs = each(
    'a0',
    `if (((constants[a1 + (e >> 5u)] >> (e & 31u)) & 1u) == 1u) { ${at('e')} = -${at('e')}; }`,
  )
  const turn = `switch a0 {
      ${kernel.rotations.map(width => `case ${width}u: { rotate${width}(i, a2); }`).join('\n      ')}
      default: {}
    }`
  const moved = (source: string) => `for (var from_ = 0u; from_ < a0; from_ += ${workgroupSize}u) {
      let e = from_ + i;
      ${barrier}
      let value = ${at(`min(${source}, ${size - 1}u)`)};
      ${barrier}
      if (e < a0) { ${at('e')} = value; }
    }
    ${barrier}`
  const bodies: Record<Exclude<VectorOpName, 'end' | RareStepName>, string> &
    Partial<Record<RareStepName, string>> = {
    ...rare?.({ at, kept, barrier, each }),
    embed: `${barrier}
    embed(i, ids[token] - a1, pc + 3u, bitcast<f32>(a0));
    pc += ${EMBEDDING_WORDS}u;
    ${barrier}`,
    rows: 'if (ids[token] - a0 >= a1) { pc += a2; }',
    product: each(
      'a0',
      `var sum = 0.0;
      for (var c = 0u; c < a3; c++) { sum += y[a1 + token * a2 + c * a4 + e]; }
      ${at('e')} = sum;`,
    ),
    load: each('a0', `${at('e')} = activations[a1 + token * a2 + e];`),
    attended: each(
      'a0 * a1',
      `let from_ = a2 + (token * a0 + e / a1) * run.parts * (a1 + 2u);
      var top = -1e30;
      if (a3 > 0u) { top = ${constant('a3 - 1u + e / a1')}; }
      let sink = top;
      for (var p = 0u; p < run.parts; p++) { top = max(top, partials[from_ + p * (a1 + 2u) + a1]); }
      var sum = 0.0;
      var total = select(0.0, exp(sink - top), a3 > 0u);
      for (var p = 0u; p < run.parts; p++) {
        let part = from_ + p * (a1 + 2u);
        let weight = exp(partials[part + a1] - top);
        sum += weight * partials[part + e % a1];
        total += weight * partials[part + a1 + 1u];
      }
      ${at('e')} = sum / total;`,
    ),
    scale: each('a0', `${at('e')} *= ${constant('a1 + e')};`),
    rotateInput: `${signs}
    ${turn}`,
    rotateOutput: `${turn}
    ${signs}`,
    bias: each('a0', `${at('e')} += ${constant('a1 + e')};`),
    lowRankInput: `for (var r = 0u; r < a1; r++) {
      var sum = 0.0;
      ${each('a0', `sum += ${at('e')} * ${constant('a2 + r * a0 + e')};`)}
      let all = total(i, sum);
      if (i == 0u) { x[a3 + token * a1 + r] = all; }
    }`,
    lowRankOutput: each(
      'a0',
      `var sum = ${at('e')};
      for (var r = 0u; r < a1; r++) { sum += ${constant('a2 + e * a1 + r')} * x[a3 + token * a1 + r]; }
      ${at('e')} = sum;`,
    ),
    norm: `let eps = bitcast<f32>(a3);
    if (a0 == a1) {
      var squares = 0.0;
      ${each('a0', `squares += ${at('e')} * ${at('e')};`)}
      let factor = inverseSqrt(total(i, squares) / f32(a0) + eps);
      ${each('a0', `${at('e')} *= factor * ${constant('a2 + e')};`)}
    } else {
      ${barrier}
      for (var g = i; g < a0 / a1; g += ${workgroupSize}u) {
        var squares = 0.0;
        for (var d = 0u; d < a1; d++) { squares += ${at('g * a1 + d')} * ${at('g * a1 + d')}; }
        let factor = inverseSqrt(squares / f32(a1) + eps);
        for (var d = 0u; d < a1; d++) { ${at('g * a1 + d')} *= factor * ${constant('a2 + d')}; }
      }
      ${barrier}
    }`,
    residual: each('a0', `${at('e')} = activations[a1 + token * a0 + e] + bitcast<f32>(a2) * ${at('e')};`),
    store: each('a0', `activations[a1 + token * a0 + e] = ${at('e')};`),
    input: each(
      'a1',
      `var value = 0.0;
      if (e < a0) { value = ${at('e')}; }
      x[a2 + id.y * a3 + e] = value;`,
    ),
    // What is moved comes from further on: a block is read before the next one is written.
    slice: moved('a1 + e'),
    pick: moved('(e / a1) * 2u * a1 + a2 * a1 + e % a1'),
    keep: each('a0', `${kept('e')} = ${at('e')};`),
    gate: each('a0', `${at('e')} *= activate(${kept('e')}, a1);`),
    rope: `${barrier}
    for (var p = i; p < (a0 / a1) * a2; p += ${workgroupSize}u) {
      let pair = p % a2;
      let head = (p / a2) * a1;
      let first = head + select(pair, 2u * pair, a3 == 1u);
      let second = head + select(pair + a2, 2u * pair + 1u, a3 == 1u);
      let c = rope[a4 + token * a2 + pair];
      let s = rope[a5 + token * a2 + pair];
      let a = ${at('first')};
      let b = ${at('second')};
      ${at('first')} = a * c - b * s;
      ${at('second')} = b * c + a * s;
    }
    ${barrier}`,
    cache:
      cache === 'f32'
        ? each('a0', `cache[(a1 * run.capacity + run.position + token) * a0 + e] = ${at('e')};`)
        : `${barrier}
    ${each('a0 / 2u', `cache[((a1 * run.capacity + run.position + token) * a0) / 2u + e] = pack2x16float(vec2f(${at('2u * e')}, ${at('2u * e + 1u')}));`)}`,
  }
  const steps = (Object.keys(bodies) as (keyof typeof bodies)[]).filter(op => ops.includes(op))
  const cases = steps.map(op => {
    const names = Array.from({ length: vectorArguments[op] }, (_, k) => `let a${k} = args[pc + ${k + 1}u];`)
    return `case ${VectorOp[op]}u: {
    ${names.join(' ')}
    ${bodies[op]}
    pc += ${vectorArguments[op] + 1}u;
    }`
  })
  const declared = vectorBindings(kernel)
    .filter(name => name !== 'run')
    .map(name => {
      const isWritten = written.includes(name) || (name === 'y' && ops.includes('route'))
      const access = isWritten ? 'read_write' : 'read'
      const type = name === 'cache' && cache === 'f32' ? 'array<f32>' : (typeOf[name] ?? 'array<u32>')
      return `@group(0) @binding(${VectorBinding[name]}) var<storage, ${access}> ${name}: ${type};`
    })
  const usesTotal = steps.some(op => op === 'norm' || op === 'lowRankInput')
  const subgroups = usesTotal ? kernel.subgroups : 0
  return `
${enableTotal(subgroups)}
${RUN}
@group(0) @binding(0) var<uniform> run: Run;
${declared.join('\n')}
${
  isShared
    ? `var<workgroup> v: array<f32, ${size}>;${keeps(ops) ? ` var<workgroup> u: array<f32, ${size}>;` : ''}`
    : 'var<private> place: u32;'
}
${usesTotal ? totalOf(workgroupSize, subgroups) : ''}
${steps.includes('gate') ? ACTIVATE : ''}
${kernel.embedding && steps.includes('embed') ? embedding(kernel.embedding, access) : ''}
${kernel.rotations.map(width => rotation(width, access)).join('\n')}

@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) id: vec3u,
  @builtin(num_workgroups) count: vec3u,
  @builtin(local_invocation_index) i: u32,
  ${totalBuiltins(subgroups)}
) {
  ${beginTotal(subgroups)}
  let token = run.first + id.y;
  ${isShared ? '' : `place = (id.y * count.x + id.x) * ${2 * size}u;`}
  var pc = args[id.x];
  loop {
    let op = args[pc];
    if (op == 0u) { break; }
    switch op {
    ${cases.join('\n    ')}
    default: { pc += 1u; }
    }
  }
}`
}

/** erf by Abramowitz and Stegun 7.1.26, within 1.5e-7. */
const ACTIVATE = `
fn activate(g: f32, kind: u32) -> f32 {
  if (kind == 4u) { return g; }
  if (kind == 3u) { return 1.0 / (1.0 + exp(-g)); }
  if (kind == 2u) {
    let z = abs(g) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let erf = sign(g) * (1.0 - poly * exp(-z * z));
    return 0.5 * g * (1.0 + erf);
  }
  let z = select(g, 1.5957691216057308 * (g + 0.044715 * g * g * g), kind == 1u);
  return g / (1.0 + exp(-z));
}`

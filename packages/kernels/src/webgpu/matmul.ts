import { CODED_JOB_WORDS, CodedJob, codedPlace } from './coded-matvec.ts'
import { type CodedKernel, codedUnit, UNIT } from './coded-unit.ts'
import type { Routing } from './routing.ts'
import { BAND_ROWS, JOB_WORDS, Job } from './trellis-matvec.ts'
import { trellisRow } from './trellis-row.ts'
import { type TableMemory, type TrellisKernel, tableCode } from './trellis-table.ts'
import { trellisTile } from './trellis-tile.ts'

/** Tokens of a tile of the product. */
export const MATMUL_TOKENS = 64
/** Columns that are decoded to workgroup memory at a time. */
export const MATMUL_STEP = 32
/** Bytes of workgroup memory that a product takes, tables left out. */
export const MATMUL_BYTES = 4 * MATMUL_STEP * (BAND_ROWS + MATMUL_TOKENS)

/**
 * WGSL of `Y = X Wᵀ` for several tokens: a workgroup makes 64 rows × 64 tokens; weights are decoded to workgroup memory, 32 columns
 * at a time, each once for all of its tokens. Workgroups: jobs of 64 rows (all columns) × blocks of tokens.
 *
 * Bindings: as of the kernels for one token, and `params` (how many tokens).
 *
 * @param routing leaves out matrices of experts that none of the tokens has chosen
 */
export function trellisMatmul(
  kernel: TrellisKernel,
  memory: TableMemory,
  f16: boolean,
  routing?: Routing,
): string {
  const tile = trellisTile(kernel, memory)
  const decode = trellisRow(
    kernel.stateBits,
    states => `
        let k = (i >> 6u) * 16u + 4u * group;
        ${states.map((state, j) => `weights[(k + ${j}u) * 16u + quad][part] = Value(step * valueOf(base, ${state}));`).join('\n        ')}`,
  )
  return matmul(f16, routing, {
    globals: `@group(0) @binding(1) var<storage, read> tables: array<u32>;\n${tableCode(kernel, memory, 256)}`,
    jobWords: JOB_WORDS,
    job: Job,
    start: `${tile.start}
  let width = 16u * end;`,
    decode: `
      let c = (col >> 4u) + (i >> 6u);
      if (i < 128u) {
        if (lane < lanes && c < end) {${tile.place}
          ${decode}
        } else {
          for (var k = 0u; k < 16u; k++) { weights[((i >> 6u) * 16u + k) * 16u + quad][part] = Value(); }
        }
      }`,
    scale: tile.scale,
  })
}

/** The same for codes in rows. */
export function codedMatmul(kernel: CodedKernel, f16: boolean, routing?: Routing): string {
  const write = (value: (j: number) => string) =>
    Array.from(
      { length: UNIT },
      (_, j) => `weights[(k + ${j}u) * 16u + quad][part] = Value(${value(j)});`,
    ).join('\n        ')
  return matmul(f16, routing, {
    globals: '',
    jobWords: CODED_JOB_WORDS,
    job: CodedJob,
    start: `
  let row = i >> 2u;
  let quad = row >> 2u;
  let part = row & 3u;
  let units = jobs[job + ${CodedJob.units}u];
  let width = ${UNIT}u * units;`,
    decode: `
      let unit = (col / ${UNIT}u) + (i & 3u);
      let k = (i & 3u) * ${UNIT}u;
      if (row < jobs[job + ${CodedJob.rows}u] && unit < units) {
        ${codedPlace('job', 'row')}
        ${codedUnit(kernel)}
        ${write(j => `u${j}`)}
      } else {
        ${write(() => '0.0')}
      }`,
    scale: () => '1.0',
  })
}

interface Loader {
  readonly globals: string
  readonly jobWords: number
  readonly job: Readonly<Record<'input' | 'inputStep' | 'output' | 'outputStep' | 'rows' | 'shares', number>>
  /** Declares `width`, the columns that are multiplied. */
  readonly start: string
  /** Writes 32 columns from `col` on to `weights`. */
  readonly decode: string
  readonly scale: (row: string) => string
}

/** @param f16 whether 32 columns at a time are multiplied in floats of 16 bits */
const matmul = (
  f16: boolean,
  routing: Routing | undefined,
  { globals, jobWords, job, start, decode, scale }: Loader,
): string => `
${f16 ? 'enable f16;' : ''}
alias Value = ${f16 ? 'f16' : 'f32'};
alias Values = vec4<Value>;
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> jobs: array<u32>;
@group(0) @binding(5) var<uniform> params: vec4u;
${globals}
${routing?.globals ?? ''}
var<workgroup> weights: array<Values, ${(MATMUL_STEP * BAND_ROWS) / 4}>;
var<workgroup> inputs: array<Values, ${(MATMUL_STEP * MATMUL_TOKENS) / 4}>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let job = id.x * ${jobWords}u;
  let firstToken = id.y * ${MATMUL_TOKENS}u;
  let tokens = params.x;
  ${routing?.check(`jobs[job + ${job.shares}u]`, ['firstToken', `min(firstToken + ${MATMUL_TOKENS}u, tokens)`]) ?? ''}
  let input = jobs[job + ${job.input}u];
  let inputStep = jobs[job + ${job.inputStep}u];
  let tx = i & 15u;
  let ty = i >> 4u;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  ${start}
  for (var col = 0u; col < width; col += ${MATMUL_STEP}u) {
    workgroupBarrier();
    {
      ${decode}
    }
    for (var e = i; e < ${(MATMUL_STEP * MATMUL_TOKENS) / 4}u; e += 256u) {
      let token = e >> 3u;
      let k = (e & 7u) * 4u;
      var v = vec4f();
      if (firstToken + token < tokens) { v = x[input + (firstToken + token) * inputStep + (col + k) / 4u]; }
      inputs[k * 16u + (token >> 2u)][token & 3u] = Value(v.x);
      inputs[(k + 1u) * 16u + (token >> 2u)][token & 3u] = Value(v.y);
      inputs[(k + 2u) * 16u + (token >> 2u)][token & 3u] = Value(v.z);
      inputs[(k + 3u) * 16u + (token >> 2u)][token & 3u] = Value(v.w);
    }
    workgroupBarrier();
    // After the last token there is nothing to add up.
    if (firstToken + 4u * ty < tokens) {
      var p0 = Values();
      var p1 = Values();
      var p2 = Values();
      var p3 = Values();
      for (var k = 0u; k < ${MATMUL_STEP}u; k++) {
        let w = weights[k * 16u + tx];
        let v = inputs[k * 16u + ty];
        p0 += w * v.x;
        p1 += w * v.y;
        p2 += w * v.z;
        p3 += w * v.w;
      }
      s0 += vec4f(p0);
      s1 += vec4f(p1);
      s2 += vec4f(p2);
      s3 += vec4f(p3);
    }
  }
  ${writeTile(job, scale)}
}`

/** WGSL that writes the sums s0 to s3 of four tokens, four rows each: `job`, `firstToken`, `tokens`, `tx` and `ty` are at hand. */
export const writeTile = (job: Loader['job'], scale: Loader['scale']): string => `
  let output = jobs[job + ${job.output}u];
  let outputStep = jobs[job + ${job.outputStep}u];
  let rows = jobs[job + ${job.rows}u];
  for (var r = 0u; r < 4u; r++) {
    let row = 4u * tx + r;
    if (row >= rows) { break; }
    let factor = ${scale('row')};
    let token = firstToken + 4u * ty;
    let at = output + token * outputStep + row;
    if (token < tokens) { y[at] = factor * s0[r]; }
    if (token + 1u < tokens) { y[at + outputStep] = factor * s1[r]; }
    if (token + 2u < tokens) { y[at + 2u * outputStep] = factor * s2[r]; }
    if (token + 3u < tokens) { y[at + 3u * outputStep] = factor * s3[r]; }
  }`

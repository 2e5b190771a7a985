import { MATMUL_STEP, MATMUL_TOKENS, writeTile } from './matmul.ts'
import { BAND_ROWS, JOB_WORDS, Job } from './trellis-matvec.ts'
import { trellisRow } from './trellis-row.ts'
import { type TableMemory, type TrellisKernel, tableCode } from './trellis-table.ts'
import { trellisTile } from './trellis-tile.ts'

/** Words of four columns. */
const WORDS = MATMUL_STEP / 4

/**
 * As `trellisMatmul`, in whole numbers of 8 bits: values of a trellis table are such numbers times the table's step, and inputs
 * become them, 16 columns with a scale of their own. Needs the language feature `packed_4x8_integer_dot_product`.
 */
export function trellisMatmulIntegers(kernel: TrellisKernel, memory: TableMemory): string {
  const tile = trellisTile(kernel, memory)
  const decode = trellisRow(
    kernel.stateBits,
    states => `
          weights[(half * 4u + group) * ${BAND_ROWS / 4}u + quad][part] =
            pack4xI8(vec4i(vec4f(${states.map(state => `valueOf(base, ${state})`).join(', ')})));`,
  )
  return `
requires packed_4x8_integer_dot_product;
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> tables: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> jobs: array<u32>;
@group(0) @binding(5) var<uniform> params: vec4u;
${tableCode(kernel, memory, 256)}
var<workgroup> weights: array<vec4u, ${(WORDS * BAND_ROWS) / 4}>;
var<workgroup> inputs: array<vec4u, ${(WORDS * MATMUL_TOKENS) / 4}>;
var<workgroup> steps: array<f32, 2>;
var<workgroup> scales: array<vec4f, ${(2 * MATMUL_TOKENS) / 4}>;

/** Four numbers of four rows times four of a token. */
fn products(w: vec4u, v: u32) -> vec4i {
  return vec4i(dot4I8Packed(w.x, v), dot4I8Packed(w.y, v), dot4I8Packed(w.z, v), dot4I8Packed(w.w, v));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let job = id.x * ${JOB_WORDS}u;
  let firstToken = id.y * ${MATMUL_TOKENS}u;
  let tokens = params.x;
  let input = jobs[job + ${Job.input}u];
  let inputStep = jobs[job + ${Job.inputStep}u];
  let tx = i & 15u;
  let ty = i >> 4u;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();${tile.start}
  for (var col = 0u; col < 16u * end; col += ${MATMUL_STEP}u) {
    workgroupBarrier();
    if (i < 128u) {
      let half = i >> 6u;
      let c = (col >> 4u) + half;
      if (lane < lanes && c < end) {${tile.place}
        if (lane == 0u && row == 0u) { steps[half] = step; }
        ${decode}
      } else {
        if (lane == 0u && row == 0u) { steps[half] = 0.0; }
        for (var k = 0u; k < 4u; k++) { weights[(half * 4u + k) * ${BAND_ROWS / 4}u + quad][part] = 0u; }
      }
    } else {
      let token = (i - 128u) >> 1u;
      let half = i & 1u;
      let at = input + (firstToken + token) * inputStep + (col >> 2u) + 4u * half;
      let isThere = firstToken + token < tokens;
      var v: array<vec4f, 4>;
      var most = vec4f();
      for (var k = 0u; k < 4u; k++) {
        if (isThere) { v[k] = x[at + k]; }
        most = max(most, abs(v[k]));
      }
      let largest = max(max(most.x, most.y), max(most.z, most.w));
      scales[half * ${MATMUL_TOKENS / 4}u + (token >> 2u)][token & 3u] = largest / 127.0;
      let factor = select(0.0, 127.0 / largest, largest > 0.0);
      for (var k = 0u; k < 4u; k++) {
        inputs[(half * 4u + k) * ${MATMUL_TOKENS / 4}u + (token >> 2u)][token & 3u] =
          pack4xI8Clamp(vec4i(round(factor * v[k])));
      }
    }
    workgroupBarrier();
    for (var half = 0u; half < 2u; half++) {
      var p0 = vec4i();
      var p1 = vec4i();
      var p2 = vec4i();
      var p3 = vec4i();
      for (var k = 4u * half; k < 4u * half + 4u; k++) {
        let w = weights[k * ${BAND_ROWS / 4}u + tx];
        let v = inputs[k * ${MATMUL_TOKENS / 4}u + ty];
        p0 += products(w, v.x);
        p1 += products(w, v.y);
        p2 += products(w, v.z);
        p3 += products(w, v.w);
      }
      let scale = steps[half] * scales[half * ${MATMUL_TOKENS / 4}u + ty];
      s0 += scale.x * vec4f(p0);
      s1 += scale.y * vec4f(p1);
      s2 += scale.z * vec4f(p2);
      s3 += scale.w * vec4f(p3);
    }
  }
  ${writeTile(Job, tile.scale)}
}`
}

import type { Routing } from './routing.ts'
import { trellisRow } from './trellis-row.ts'
import { type TableMemory, type TrellisKernel, tableCode } from './trellis-table.ts'

/** Rows of a band: four tiles below each other, whose words alternate. */
export const BAND_ROWS = 64

/**
 * WGSL of `y = W x` for one token, straight from trellis codes. A workgroup makes one job of `trellis-jobs.ts`: the rows of a
 * band times a range of tile columns. Its four quarters take every fourth tile column; an invocation decodes a row of a tile.
 *
 * Bindings: `codes`, `tables`, `x` (vec4), `y`, `jobs`.
 *
 * @param routing leaves out matrices of experts that are not chosen
 */
export function trellisMatvec(kernel: TrellisKernel, memory: TableMemory, routing?: Routing): string {
  return `
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> tables: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> jobs: array<u32>;
${tableCode(kernel, memory, 256)}
var<workgroup> sums: array<f32, 256>;
${routing?.globals ?? ''}

fn rowTimes(first: u32, stride: u32, row: u32, quarters: u32, base: u32, input: u32) -> f32 {
  var sum = 0.0;
  ${trellisRow(
    kernel.stateBits,
    states => `let v = vec4f(${states.map(s => `valueOf(base, ${s})`).join(', ')});
  sum += dot(v, x[input + group]);`,
  )}
  return sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let job = id.x * ${JOB_WORDS}u;
  ${routing?.check(`jobs[job + ${Job.shares}u]`, ['0u', '1u']) ?? ''}
  loadTables(jobs[job + ${Job.tables}u], jobs[job + ${Job.tableCount}u], i);
  workgroupBarrier();
  let lane = i & 3u;
  let row = (i >> 2u) & 15u;
  let top = jobs[job + ${Job.band}u] * 4u;
  let lanes = min(4u, jobs[job + ${Job.tileRows}u] - top);
  var sum = 0.0;
  if (lane < lanes) {
    let columns = jobs[job + ${Job.columns}u];
    let last = jobs[job + ${Job.lastColumn}u];
    let input = jobs[job + ${Job.input}u];
    for (var c = jobs[job + ${Job.firstColumn}u] + (i >> 6u); c < last; c += 4u) {
      let at = columns + 4u * c;
      let place = codes[at + 1u];
      let kind = codes[at + 2u];
      let quarters = kind & 255u;
      let first = codes[at] + (top * (place & 65535u) + (place >> 16u) * lanes) * 2u * quarters + lane;
      let base = ${memory === 'storage' ? `jobs[job + ${Job.tables}u] + ` : ''}((kind >> 8u) << ${kernel.stateBits}u);
      sum += bitcast<f32>(codes[at + 3u]) * rowTimes(first, lanes, row, quarters, base, input + 4u * c);
    }
  }
  sums[i] = sum;
  workgroupBarrier();
  let place = (i & 3u) * 16u + (i >> 2u);
  if (i < 64u && place < jobs[job + ${Job.rows}u]) {
    let scale = bitcast<f32>(codes[jobs[job + ${Job.scale}u] + place * jobs[job + ${Job.scaleStep}u]]);
    y[jobs[job + ${Job.output}u] + place] = scale * (sums[i] + sums[i + 64u] + sums[i + 128u] + sums[i + 192u]);
  }
}`
}

/** Words of a job, in order; a tile column's own words are described in `trellis-blob.ts`. */
export const Job = {
  /** Where the matrix's tile columns are described in `codes`. */
  columns: 0,
  firstColumn: 1,
  /** Exclusive. */
  lastColumn: 2,
  band: 3,
  /** Of the matrix. */
  tileRows: 4,
  /** Of `x`, in vec4. */
  input: 5,
  /** Of `y`, for the first row of the band. */
  output: 6,
  /** Of the band. */
  rows: 7,
  /** Of the first row, in `codes`. */
  scale: 8,
  /** 1 where each row has a scale, otherwise 0. */
  scaleStep: 9,
  /** Index of the matrix's first value in `tables`, in bytes. */
  tables: 10,
  /** Floats of `y` between two tokens, vec4 of `x`. */
  outputStep: 11,
  inputStep: 12,
  /** Tables of the matrix. */
  tableCount: 13,
  /** Where the shares of an expert are in `y`, 1 more; 0 for what is no expert's. */
  shares: 14,
} as const
/** 32-bit words of a job of the trellis product. */
export const JOB_WORDS = 16

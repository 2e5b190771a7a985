import { type CodedKernel, codedUnit, UNIT } from './coded-unit.ts'
import type { Routing } from './routing.ts'

/** Rows of a job of `codedMatvec`. */
export const CODED_ROWS = 8

/** Invocations of a row of so many columns: few where more would have nothing to do. */
export const codedLanes = (cols: number): 8 | 32 => (cols > 32 * UNIT ? 32 : 8)

/**
 * WGSL of `y = W x` for one token, straight from codes in rows. A workgroup makes eight rows, `lanes` invocations each, which take
 * the units of the row in turn.
 *
 * Bindings: `codes`, `tables` (not read), `x` (vec4), `y`, `jobs`.
 *
 * @param subgroups see `KernelFeatures`
 * @param routing leaves out matrices of experts that are not chosen
 */
export function codedMatvec(
  kernel: CodedKernel,
  subgroups: number,
  lanes: 8 | 32,
  routing?: Routing,
): string {
  // Invocations whose sums are added up without memory: a subgroup's, of one row.
  const near = Math.max(1, Math.min(subgroups, lanes))
  const shuffled = Array.from(
    { length: Math.log2(near) },
    (_, k) => `sum += subgroupShuffleXor(sum, ${2 ** k}u);`,
  )
  return `
${subgroups > 0 ? 'enable subgroups;' : ''}
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> jobs: array<u32>;
var<workgroup> sums: array<f32, ${CODED_ROWS * lanes}>;
${routing?.globals ?? ''}

@compute @workgroup_size(${CODED_ROWS * lanes})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let job = id.x * ${CODED_JOB_WORDS}u;
  ${routing?.check(`jobs[job + ${CodedJob.shares}u]`, ['0u', '1u']) ?? ''}
  let row = i / ${lanes}u;
  let lane = i % ${lanes}u;
  var sum = 0.0;
  if (row < jobs[job + ${CodedJob.rows}u]) {
${codedPlace('job', 'row')}
    let units = jobs[job + ${CodedJob.units}u];
    let input = jobs[job + ${CodedJob.input}u];
    for (var unit = lane; unit < units; unit += ${lanes}u) {
${codedUnit(kernel)}
      sum += dot(vec4f(u0, u1, u2, u3), x[input + unit * ${UNIT / 4}u]);
      sum += dot(vec4f(u4, u5, u6, u7), x[input + unit * ${UNIT / 4}u + 1u]);
    }
  }
  ${shuffled.join('\n  ')}
  sums[i] = sum;
  for (var step = ${lanes / 2}u; step >= ${near}u; step >>= 1u) {
    workgroupBarrier();
    if (lane < step) { sums[i] += sums[i + step]; }
  }
  if (lane == 0u && row < jobs[job + ${CodedJob.rows}u]) {
    y[jobs[job + ${CodedJob.output}u] + row] = sums[i];
  }
}`
}

/** Declares what `codedUnit` expects for a row of a job. */
export const codedPlace = (job: string, row: string): string => `
    let rowAt = jobs[${job} + ${CodedJob.codes}u] + (${row}) * jobs[${job} + ${CodedJob.rowWords}u];
    let groups = jobs[${job} + ${CodedJob.groups}u];
    let scaleAt = (jobs[${job} + ${CodedJob.firstRow}u] + ${row}) * groups;
    let table = jobs[${job} + ${CodedJob.table}u];
    let scales = jobs[${job} + ${CodedJob.scales}u];
    let shifts = jobs[${job} + ${CodedJob.shifts}u];
    let group = jobs[${job} + ${CodedJob.group}u];`

/** Words of a job, in order. */
export const CodedJob = {
  /** Of the job's first row, in `codes`. */
  codes: 0,
  rowWords: 1,
  units: 2,
  rows: 3,
  /** Of `x`, in vec4. */
  input: 4,
  /** Of `y`, for the first row. */
  output: 5,
  firstRow: 6,
  /** Groups of a row. */
  groups: 7,
  table: 8,
  scales: 9,
  shifts: 10,
  group: 11,
  /** Floats of `y` between two tokens, vec4 of `x`. */
  outputStep: 12,
  inputStep: 13,
  /** Where the shares of an expert are in `y`, 1 more; 0 for what is no expert's. */
  shares: 14,
} as const
/** 32-bit words of a job of the coded product. */
export const CODED_JOB_WORDS = 16

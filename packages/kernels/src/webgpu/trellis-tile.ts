import { Job } from './trellis-matvec.ts'
import type { TableMemory, TrellisKernel } from './trellis-table.ts'

/**
 * WGSL by which 128 threads of a workgroup read 64 rows × 32 columns of trellis codes: thread `i` has a row of a tile of 16
 * columns. `start` declares, once for a `job`, the thread's place; `place` declares, for tile column `c`, what `trellisRow`
 * reads, and `step`.
 */
export const trellisTile = ({ stateBits }: TrellisKernel, memory: TableMemory) => ({
  start: `
  loadTables(jobs[job + ${Job.tables}u], jobs[job + ${Job.tableCount}u], i);
  let lane = i & 3u;
  let row = (i >> 2u) & 15u;
  let top = jobs[job + ${Job.band}u] * 4u;
  let lanes = min(4u, jobs[job + ${Job.tileRows}u] - top);
  let columns = jobs[job + ${Job.columns}u];
  let end = jobs[job + ${Job.lastColumn}u];
  let quad = (lane * 16u + row) >> 2u;
  let part = row & 3u;
  let scaled = jobs[job + ${Job.scale}u];
  let scaleStep = jobs[job + ${Job.scaleStep}u];`,
  place: `
          let at = columns + 4u * c;
          let place = codes[at + 1u];
          let kind = codes[at + 2u];
          let quarters = kind & 255u;
          let stride = lanes;
          let first = codes[at] + (top * (place & 65535u) + (place >> 16u) * lanes) * 2u * quarters + lane;
          let base = ${memory === 'storage' ? `jobs[job + ${Job.tables}u] + ` : ''}((kind >> 8u) << ${stateBits}u);
          let step = bitcast<f32>(codes[at + 3u]);`,
  scale: (row: string) => `bitcast<f32>(codes[scaled + (${row}) * scaleStep])`,
})

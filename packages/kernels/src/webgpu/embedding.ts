import { type CodedKernel, codedUnit, UNIT } from './coded-unit.ts'
import type { VectorAccess } from './rotation.ts'
import { trellisRow } from './trellis-row.ts'
import { type TrellisKernel, tableCode } from './trellis-table.ts'

/** What a row that is looked up is stored as. */
export type EmbeddingKernel = TrellisKernel | CodedKernel

/** Arguments of an embedding: of trellis codes the first six, of codes in rows all. */
export const EMBEDDING_WORDS = 8

/** Of trellis codes: `columns`, `tileColumns`, `tileRows`, `scales`, `scaleStep`, `tables`, as in a job of `trellisMatvec`. */
export interface TrellisEmbeddingArgs {
  readonly columns: number
  readonly tileColumns: number
  readonly tileRows: number
  readonly scales: number
  readonly scaleStep: number
  readonly tables: number
}

/** WGSL of `embed(i, index, at, factor)`: a row times a factor; arguments are at `args[at]`. */
export function embedding(kernel: EmbeddingKernel, { at, workgroupSize }: VectorAccess): string {
  if (kernel.kind === 'trellis') {
    const decode = trellisRow(kernel.stateBits, states =>
      states
        .map((s, j) => `${at(`16u * c + 4u * group + ${j}u`)} = scale * valueOf(base, ${s});`)
        .join('\n    '),
    )
    return `
${tableCode(kernel, 'storage', workgroupSize)}
fn embed(i: u32, index: u32, place: u32, factor: f32) {
  let lane = (index >> 4u) & 3u;
  let row = index & 15u;
  let top = (index >> 6u) * 4u;
  let stride = min(4u, args[place + 2u] - top);
  let whole = factor * bitcast<f32>(codes[args[place + 3u] + index * args[place + 4u]]);
  for (var c = i; c < args[place + 1u]; c += ${workgroupSize}u) {
    let column = args[place] + 4u * c;
    let segment = codes[column + 1u];
    let quarters = codes[column + 2u] & 255u;
    let first = codes[column] + (top * (segment & 65535u) + (segment >> 16u) * stride) * 2u * quarters + lane;
    let base = args[place + 5u] + ((codes[column + 2u] >> 8u) << ${kernel.stateBits}u);
    let scale = whole * bitcast<f32>(codes[column + 3u]);
    ${decode}
  }
}`
  }
  return `
fn embed(i: u32, index: u32, place: u32, factor: f32) {
  let rowAt = args[place] + index * args[place + 1u];
  let units = args[place + 2u];
  let groups = args[place + 3u];
  let scaleAt = index * groups;
  let table = args[place + 4u];
  let scales = args[place + 5u];
  let shifts = args[place + 6u];
  let group = args[place + 7u];
  for (var unit = i; unit < units; unit += ${workgroupSize}u) {
    ${codedUnit(kernel)}
    ${Array.from({ length: UNIT }, (_, j) => `${at(`unit * ${UNIT}u + ${j}u`)} = factor * u${j};`).join('\n    ')}
  }
}`
}

/**
 * Where the values of states are looked up, in multiples of a step: in workgroup memory as floats or packed four to a word, or
 * in the buffer `tables` where workgroup memory does not suffice.
 */
export type TableMemory = 'f32' | 'i8' | 'storage'

/** What kernels of trellis codes are made for. */
export interface TrellisKernel {
  readonly kind: 'trellis'
  readonly stateBits: number
  /** Tables that a matrix has at most. */
  readonly tables: number
}

/** Bytes of workgroup memory that tables take. */
export const tableBytes = ({ stateBits, tables }: TrellisKernel, memory: TableMemory): number =>
  memory === 'storage' ? 0 : (memory === 'f32' ? 4 : 1) * tables * 2 ** stateBits

/** The quickest place for the tables in so many bytes of workgroup memory. */
export const tableMemoryFor = (kernel: TrellisKernel, bytes: number): TableMemory =>
  (['f32', 'i8'] as const).find(memory => tableBytes(kernel, memory) <= bytes) ?? 'storage'

/** WGSL: the variable `table` of the workgroup, `loadTables(first, count, i)` and `valueOf(base, state)`. */
export function tableCode(kernel: TrellisKernel, memory: TableMemory, workgroupSize: number): string {
  const { stateBits, tables } = kernel
  if (memory === 'storage') {
    return `
fn loadTables(first: u32, count: u32, i: u32) {}
fn valueOf(base: u32, state: u32) -> f32 {
  let at = base + state;
  return f32(bitcast<i32>(tables[at >> 2u] << (24u - ((at & 3u) << 3u))) >> 24u);
}`
  }
  const [each, type] = memory === 'f32' ? [2 ** stateBits, 'f32'] : [2 ** stateBits / 4, 'u32']
  const load =
    memory === 'f32'
      ? `table[k] = f32(bitcast<i32>(tables[(first + k) >> 2u] << (24u - ((k & 3u) << 3u))) >> 24u);`
      : 'table[k] = tables[(first >> 2u) + k];'
  return `
var<workgroup> table: array<${type}, ${tables * each}>;
fn loadTables(first: u32, count: u32, i: u32) {
  for (var k = i; k < count * ${each}u; k += ${workgroupSize}u) {
    ${load}
  }
}
fn valueOf(base: u32, state: u32) -> f32 {
  ${
    memory === 'f32'
      ? 'return table[base + state];'
      : `let at = base + state;
  return f32(bitcast<i32>(table[at >> 2u] << (24u - ((at & 3u) << 3u))) >> 24u);`
  }
}`
}

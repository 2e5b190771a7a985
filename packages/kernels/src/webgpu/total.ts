/** WGSL before all else of a shader that calls `total`. */
export const enableTotal = (subgroups: number): string => (subgroups > 0 ? 'enable subgroups;' : '')

/** WGSL of further parameters of `main`, which {@link beginTotal} keeps. */
export const totalBuiltins = (subgroups: number): string =>
  subgroups > 0 ? '@builtin(subgroup_invocation_id) ownLane: u32, @builtin(subgroup_size) ownLanes: u32,' : ''

/** WGSL of the first statements of `main`. */
export const beginTotal = (subgroups: number): string =>
  subgroups > 0 ? 'subgroupLane = ownLane; subgroupLanes = ownLanes;' : ''

/**
 * WGSL of `total(i, value)`: the sum of a value of each invocation, for all of them. Without subgroups it halves what is left, a
 * barrier each time; with them each adds up its own, whatever its size.
 */
export const totalOf = (workgroupSize: number, subgroups: number): string =>
  subgroups > 0
    ? `
var<workgroup> sums: array<f32, ${Math.ceil(workgroupSize / subgroups)}>;
var<private> subgroupLane: u32;
var<private> subgroupLanes: u32;
fn total(i: u32, value: f32) -> f32 {
  let own = subgroupAdd(value);
  workgroupBarrier();
  if (subgroupLane == 0u) { sums[i / subgroupLanes] = own; }
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k * subgroupLanes < ${workgroupSize}u; k++) { sum += sums[k]; }
  return sum;
}`
    : `
var<workgroup> sums: array<f32, ${workgroupSize}>;
fn total(i: u32, value: f32) -> f32 {
  workgroupBarrier();
  sums[i] = value;
  for (var step = ${workgroupSize / 2}u; step > 0u; step >>= 1u) {
    workgroupBarrier();
    if (i < step) { sums[i] += sums[i + step]; }
  }
  workgroupBarrier();
  return sums[0];
}`

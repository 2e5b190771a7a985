/**
 * WGSL that adds the squares of vectors' values to `sums`. Bindings: the vectors, the sums, `args` (values of a vector; place of the
 * first; from one to the next; count).
 */
export const squareSums = `
@group(0) @binding(0) var<storage, read> vectors: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read> args: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= args[0]) { return; }
  var sum = sums[id.x];
  for (var t = 0u; t < args[3]; t++) {
    let value = vectors[args[1] + t * args[2] + id.x];
    sum += value * value;
  }
  sums[id.x] = sum;
}`

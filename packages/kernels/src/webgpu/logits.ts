/** WGSL of `logits = softcap(scale · product)`. Bindings: the product, the logits, `args` (count, place, scale, softcap). */
export const logitsKernel = `
@group(0) @binding(0) var<storage, read> product: array<f32>;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read> args: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= args[0]) { return; }
  var value = bitcast<f32>(args[2]) * product[args[1] + id.x];
  let softcap = bitcast<f32>(args[3]);
  if (softcap > 0.0) { value = softcap * tanh(value / softcap); }
  logits[id.x] = value;
}`

import { RUN } from './run.ts'

const BINDINGS = `${RUN}
@group(0) @binding(0) var<uniform> run: Run;
@group(0) @binding(1) var<storage, read> args: array<u32>;
@group(0) @binding(2) var<storage, read> constants: array<u32>;
@group(0) @binding(3) var<storage, read_write> activations: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;
`

/**
 * WGSL of a causal convolution over positions, each channel by itself, in place: an invocation takes a channel through all tokens.
 * The layer's `state` begins with the last `kernel − 1` inputs, `[kernel − 1, channels]`, zeros before the first position.
 *
 * Bindings: `run`, `args` (channels; place of the values, `[tokens, channels]`; place of the weights, `[channels, kernel]`; that of the
 * bias, 1 more, or 0), `constants`, `activations`, `state`.
 *
 * @param silu whether SiLU follows
 */
export function causalConv({ kernel, silu }: { kernel: number; silu: boolean }): string {
  const past = Array.from({ length: kernel - 1 }, (_, j) => j)
  const lines = (code: (j: number) => string) => past.map(code).join('\n  ')
  const now = kernel - 1
  return `
${BINDINGS}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  // Bound whatever the kernel's width.
  _ = &state;
  let channels = args[0];
  let c = id.x;
  if (c >= channels) { return; }
  let weights = args[2] + c * ${kernel}u;
  var bias = 0.0;
  if (args[3] > 0u) { bias = bitcast<f32>(constants[args[3] - 1u + c]); }
  ${lines(j => `var x${j} = state[${j}u * channels + c];`)}
  for (var t = 0u; t < run.tokens; t++) {
    let at = args[1] + t * channels + c;
    let x${now} = activations[at];
    var sum = bias + bitcast<f32>(constants[weights + ${now}u]) * x${now};
    ${lines(j => `sum += bitcast<f32>(constants[weights + ${j}u]) * x${j};`)}
    activations[at] = ${silu ? 'sum / (1.0 + exp(-sum))' : 'sum'};
    ${lines(j => `x${j} = x${j + 1};`)}
  }
  ${lines(j => `state[${j}u * channels + c] = x${j};`)}
}`
}

/** What kernels of recurrent layers are made for. */
export interface RecurrenceKernel {
  readonly keyDim: number
  readonly valueDim: number
  /** The gated delta rule, where keys and queries become as long as 1; otherwise the scan of Mamba-2. */
  readonly isDelta: boolean
}

/**
 * WGSL of the recurrence of a layer, position by position: a workgroup takes a head, an invocation columns of its matrix `S`,
 * `[keyDim, valueDim]`. With `left = exp(−exp(aLog) · softplus(step + dtBias))`,
 * `S ← left · S + k (b (v − left · Sᵀ k))ᵀ` and `b = sigmoid(beta)` by the delta rule, `S ← left · S + k (softplus(…) · v)ᵀ` by the scan;
 * what is read is `Sᵀ q`, times `1/√keyDim` by the delta rule, plus `skip · v` by the scan.
 *
 * Bindings: `run`, `args` (heads, heads that share keys; place of `[tokens, channels]`, channels, where in them values, keys and
 * queries begin; places of step and beta, `[tokens, heads]`, in `activations`; of aLog, dtBias and skip in `constants`; of the
 * matrices in `state`; of what is read in `activations`), `constants`, `activations`, `state`.
 */
export function recurrence({ keyDim, valueDim, isDelta }: RecurrenceKernel): string {
  const size = Math.min(256, 64 * Math.ceil(valueDim / 64))
  const constant = (index: string) => `bitcast<f32>(constants[${index} + head])`
  return `
${BINDINGS}var<workgroup> k: array<f32, ${keyDim}>;
var<workgroup> q: array<f32, ${keyDim}>;

@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let head = id.x;
  let heads = args[0];
  let group = (head / args[1]) * ${keyDim}u;
  let rate = exp(${constant('args[9]')});
  let bias = ${constant('args[10]')};
  let matrix = args[12] + head * ${keyDim * valueDim}u;
  for (var t = 0u; t < run.tokens; t++) {
    let row = args[2] + t * args[3];
    workgroupBarrier();
    for (var e = i; e < ${keyDim}u; e += ${size}u) {
      k[e] = activations[row + args[5] + group + e];
      q[e] = activations[row + args[6] + group + e];
    }
    workgroupBarrier();
    let raw = activations[args[7] + t * heads + head] + bias;
    let step = max(raw, 0.0) + log(1.0 + exp(-abs(raw)));
    let left = exp(-rate * step);
    ${
      isDelta
        ? `let write = 1.0 / (1.0 + exp(-activations[args[8] + t * heads + head]));
    var kk = 1e-6;
    var qq = 1e-6;
    for (var e = 0u; e < ${keyDim}u; e++) {
      kk += k[e] * k[e];
      qq += q[e] * q[e];
    }
    let ofKey = inverseSqrt(kk);
    let ofQuery = ${keyDim ** -0.5} * inverseSqrt(qq);`
        : `let skip = ${constant('args[11]')};`
    }
    for (var j = i; j < ${valueDim}u; j += ${size}u) {
      let v = activations[row + args[4] + head * ${valueDim}u + j];
      ${
        isDelta
          ? `var known = 0.0;
      for (var e = 0u; e < ${keyDim}u; e++) { known += k[e] * state[matrix + e * ${valueDim}u + j]; }
      let u = ofKey * write * (v - left * ofKey * known);`
          : 'let u = step * v;'
      }
      var sum = 0.0;
      for (var e = 0u; e < ${keyDim}u; e++) {
        let at = matrix + e * ${valueDim}u + j;
        let s = left * state[at] + k[e] * u;
        state[at] = s;
        sum += q[e] * s;
      }
      activations[args[13] + (t * heads + head) * ${valueDim}u + j] = ${isDelta ? 'ofQuery * sum' : 'sum + skip * v'};
    }
  }
}`
}

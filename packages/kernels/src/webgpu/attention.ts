import { RUN } from './run.ts'

/** What attention kernels are made for. */
export interface AttentionKernel {
  readonly headDim: number
  /** Heads that share keys and values. */
  readonly group: number
  /** Tokens of a workgroup. */
  readonly tokens: number
  /** Bytes of workgroup memory that there are. */
  readonly memory: number
  /** How keys and values are kept; `f16` packs two of them to a word. */
  readonly cache: 'f16' | 'f32'
}

/** Keys that are in workgroup memory at a time, at most. */
const MOST_KEYS = 32

/** Floats of a partial result: the weighted sum of values, the largest score, the sum of weights. */
export const partialFloats = (headDim: number): number => headDim + 2

/** Tokens of a workgroup when several are read: about 16 rows of queries. */
export const attentionTokens = (group: number): number => Math.max(1, Math.floor(16 / group))

/** Bytes of workgroup memory with so many keys in it at a time. */
function attentionBytes({ headDim, group, tokens }: AttentionKernel, keys: number): number {
  const rows = group * tokens
  return 4 * (rows * (headDim + keys + 3) + keys * (headDim + 4))
}

/**
 * WGSL of causal attention with a running softmax: a workgroup takes the queries of a block of tokens that share a head of keys, and
 * one part of the keys. Parts are put together by whoever reads the partial results,
 * `[tokens, heads, parts, headDim + 2]`. Workgroups: parts × heads of keys × blocks of tokens.
 *
 * Bindings: `run`, `args` (see {@link AttentionArgs}), `x` (queries), `cache`, `partials`.
 */
export function attention(kernel: AttentionKernel): string {
  const { headDim, group, tokens, cache } = kernel
  const rows = group * tokens
  let keys = MOST_KEYS
  while (keys > 1 && attentionBytes(kernel, keys) > kernel.memory) keys /= 2
  const quads = headDim / 4
  // Few queries of small heads leave most of a large workgroup idle.
  const size = rows * headDim > 64 ? 256 : 64
  const sums = Math.ceil((rows * headDim) / size)
  const each = (code: (n: number) => string) => Array.from({ length: sums }, (_, n) => code(n)).join('\n    ')
  const load =
    cache === 'f32'
      ? `let at = (which * capacity + key) * width + head * ${headDim}u + 4u * q;
      let v = vec4f(cache[at], cache[at + 1u], cache[at + 2u], cache[at + 3u]);`
      : `let at = ((which * capacity + key) * width + head * ${headDim}u) / 2u + 2u * q;
      let v = vec4f(unpack2x16float(cache[at]), unpack2x16float(cache[at + 1u]));`
  return `
${RUN}
@group(0) @binding(0) var<uniform> run: Run;
@group(0) @binding(1) var<storage, read> args: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> cache: array<${cache === 'f32' ? 'f32' : 'u32'}>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;
var<workgroup> queries: array<vec4f, ${rows * quads}>;
var<workgroup> tile: array<vec4f, ${keys * (quads + 1)}>;
var<workgroup> scores: array<f32, ${rows * keys}>;
var<workgroup> top: array<f32, ${rows}>;
var<workgroup> total: array<f32, ${rows}>;
var<workgroup> shrink: array<f32, ${rows}>;

fn loadTile(i: u32, which: u32, head: u32, capacity: u32, width: u32, from_: u32, to: u32) {
  for (var e = i; e < ${keys * quads}u; e += ${size}u) {
    let k = e / ${quads}u;
    let q = e % ${quads}u;
    let key = from_ + k;
    if (key < to) {
      ${load}
      tile[k * ${quads + 1}u + q] = v;
    } else {
      tile[k * ${quads + 1}u + q] = vec4f();
    }
  }
}

@compute @workgroup_size(${size})
fn main(@builtin(workgroup_id) id: vec3u, @builtin(local_invocation_index) i: u32) {
  let heads = args[0];
  let window = args[1];
  let scale = bitcast<f32>(args[2]);
  let softcap = bitcast<f32>(args[3]);
  let input = args[4];
  let output = args[5];
  let width = (heads / ${group}u) * ${headDim}u;
  let capacity = run.capacity;
  let first = id.z * ${tokens}u;
  for (var e = i; e < ${rows * quads}u; e += ${size}u) {
    let row = e / ${quads}u;
    let token = first + row / ${group}u;
    var v = vec4f();
    if (token < run.tokens) {
      let at = input + (token * heads + id.y * ${group}u + row % ${group}u) * ${headDim}u + 4u * (e % ${quads}u);
      v = vec4f(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
    }
    queries[e] = v;
  }
  if (i < ${rows}u) {
    top[i] = -1e30;
    total[i] = 0.0;
  }
  let last = run.position + min(first + ${tokens}u, run.tokens);
  var begin = 0u;
  if (window > 0u && run.position + first + 1u > window) { begin = run.position + first + 1u - window; }
  begin += id.x * run.partKeys;
  let end = min(last, begin + run.partKeys);
  ${each(n => `var sum${n} = 0.0;`)}
  for (var from_ = begin; from_ < end; from_ += ${keys}u) {
    loadTile(i, 0u, id.y, capacity, width, from_, end);
    workgroupBarrier();
    for (var e = i; e < ${rows * keys}u; e += ${size}u) {
      let row = e / ${keys}u;
      let k = e % ${keys}u;
      var product = 0.0;
      for (var q = 0u; q < ${quads}u; q++) {
        product += dot(queries[row * ${quads}u + q], tile[k * ${quads + 1}u + q]);
      }
      var score = scale * product;
      if (softcap > 0.0) { score = softcap * tanh(score / softcap); }
      let own = run.position + first + row / ${group}u;
      let key = from_ + k;
      if (key >= end || key > own || (window > 0u && key + window <= own)) { score = -1e30; }
      scores[e] = score;
    }
    workgroupBarrier();
    if (i < ${rows}u) {
      let before = top[i];
      var best = before;
      for (var k = 0u; k < ${keys}u; k++) { best = max(best, scores[i * ${keys}u + k]); }
      let factor = exp(before - best);
      var added = 0.0;
      for (var k = 0u; k < ${keys}u; k++) {
        let score = scores[i * ${keys}u + k];
        let weight = select(0.0, exp(score - best), score > -1e29);
        scores[i * ${keys}u + k] = weight;
        added += weight;
      }
      top[i] = best;
      shrink[i] = factor;
      total[i] = total[i] * factor + added;
    }
    loadTile(i, 1u, id.y, capacity, width, from_, end);
    workgroupBarrier();
    ${each(
      n => `{
      let e = i + ${size * n}u;
      if (e < ${rows * headDim}u) {
        let row = e / ${headDim}u;
        let d = e % ${headDim}u;
        var value = sum${n} * shrink[row];
        for (var k = 0u; k < ${keys}u; k++) {
          value += scores[row * ${keys}u + k] * tile[k * ${quads + 1}u + (d >> 2u)][d & 3u];
        }
        sum${n} = value;
      }
    }`,
    )}
    workgroupBarrier();
  }
  workgroupBarrier();
  ${each(
    n => `{
    let e = i + ${size * n}u;
    let row = e / ${headDim}u;
    let token = first + row / ${group}u;
    if (e < ${rows * headDim}u && token < run.tokens) {
      let at = output + ((token * heads + id.y * ${group}u + row % ${group}u) * run.parts + id.x) * ${headDim + 2}u;
      let d = e % ${headDim}u;
      partials[at + d] = sum${n};
      if (d == 0u) {
        partials[at + ${headDim}u] = top[row];
        partials[at + ${headDim + 1}u] = total[row];
      }
    }
  }`,
  )}
}`
}

/** Words of a layer's arguments, in order; the queries' place is in `x`, the results' in `partials`. */
export interface AttentionArgs {
  readonly heads: number
  /** 0 for all keys. */
  readonly window: number
  readonly scale: number
  /** 0 for none. */
  readonly softcap: number
  readonly input: number
  readonly output: number
}

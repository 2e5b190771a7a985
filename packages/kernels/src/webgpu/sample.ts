import { totalOf } from './total.ts'

/** Words of the uniform buffer of {@link sampleKernel}. */
export interface Sampling {
  readonly vocabulary: number
  /** Which of the tokens that are chosen this is. */
  readonly index: number
  /** 0 for all. */
  readonly topK: number
  readonly temperature: number
  readonly topP: number
  readonly minP: number
  readonly penalty: number
  /** From 0 to 1. */
  readonly draw: number
}

/** 32-bit words of what sampling is told. */
export function samplingWords(s: Sampling): Uint32Array<ArrayBuffer> {
  const words = Uint32Array.of(s.vocabulary, s.index, s.topK, 0, 0, 0, 0, 0)
  new Float32Array(words.buffer).set([s.temperature, s.topP, s.minP, s.penalty, s.draw], 3)
  return words
}

/** Chosen where logits are no numbers. */
export const NO_TOKEN = 0xffffffff

/**
 * WGSL that chooses a token by the rules of `sample` of tensor-io: repetition penalty, temperature, min-p, top-k, top-p, one number.
 * One workgroup; what is kept is found by bisection over the order of floats, so that nothing is sorted. Ties go by id. Of logits among
 * which one is NaN it chooses {@link NO_TOKEN}; that is told by bits, for a compiler may take for granted that floats are numbers.
 *
 * Bindings: `sampling`, `logits`, `seen` (a bit for each id that the penalty applies to), `chosen`, `ids` (of the next run).
 */
export const sampleKernel = (workgroupSize: number): string => `
struct Sampling {
  vocabulary: u32, index: u32, topK: u32, temperature: f32, topP: f32, minP: f32, penalty: f32, draw: f32,
}
@group(0) @binding(0) var<uniform> sampling: Sampling;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> seen: array<u32>;
@group(0) @binding(3) var<storage, read_write> chosen: array<u32>;
@group(0) @binding(4) var<storage, read_write> ids: array<u32>;
${totalOf(workgroupSize, 0)}
var<private> isBroken: u32;
var<workgroup> counts: array<u32, ${workgroupSize}>;

fn largest(i: u32, value: u32) -> u32 {
  workgroupBarrier();
  counts[i] = value;
  for (var step = ${workgroupSize / 2}u; step > 0u; step >>= 1u) {
    workgroupBarrier();
    if (i < step) { counts[i] = max(counts[i], counts[i + step]); }
  }
  workgroupBarrier();
  return counts[0];
}
fn score(e: u32) -> f32 {
  let value = logits[e];
  if (sampling.penalty == 1.0 || ((seen[e >> 5u] >> (e & 31u)) & 1u) == 0u) { return value; }
  return select(value * sampling.penalty, value / sampling.penalty, value > 0.0);
}
/** Larger for larger floats. */
fn keyOf(value: f32) -> u32 {
  let bits = bitcast<u32>(value + 0.0);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
fn valueOf(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}
/** Tokens from a key on, counted or weighed. */
fn mass(i: u32, least: u32, best: f32, isCount: bool) -> f32 {
  var sum = 0.0;
  for (var e = i; e < sampling.vocabulary; e += ${workgroupSize}u) {
    let s = score(e);
    if (keyOf(s) >= least) { sum += select(exp((s - best) / sampling.temperature), 1.0, isCount); }
  }
  return total(i, sum);
}
/** The largest key from which on there are at least (or more than) so many. */
fn threshold(i: u32, wanted: f32, isMore: bool, floor_: u32, best: f32, isCount: bool) -> u32 {
  var low = floor_;
  var high = keyOf(best);
  for (var n = 0u; n < 32u; n++) {
    let middle = low + (high - low) / 2u + ((high - low) & 1u);
    let found = mass(i, middle, best, isCount);
    let isEnough = select(found >= wanted, found > wanted, isMore);
    low = select(low, middle, isEnough && low < high);
    high = select(select(middle - 1u, middle, middle == low), high, isEnough);
    high = max(high, low);
  }
  return low;
}
/** The n-th token of a key, by id; the last one where there are fewer. */
fn tie(i: u32, key: u32, n: u32) -> u32 {
  let each = (sampling.vocabulary + ${workgroupSize - 1}u) / ${workgroupSize}u;
  let from_ = min(sampling.vocabulary, i * each);
  let to = min(sampling.vocabulary, from_ + each);
  var own = 0u;
  for (var e = from_; e < to; e++) { own += select(0u, 1u, keyOf(score(e)) == key); }
  workgroupBarrier();
  counts[i] = own;
  workgroupBarrier();
  var before = 0u;
  var all = 0u;
  for (var k = 0u; k < ${workgroupSize}u; k++) {
    if (k < i) { before += counts[k]; }
    all += counts[k];
  }
  let wanted = min(n, max(all, 1u) - 1u);
  var found = 0u;
  if (wanted >= before && wanted < before + own) {
    var left = wanted - before;
    for (var e = from_; e < to; e++) {
      if (keyOf(score(e)) == key) {
        if (left == 0u) { found = e + 1u; break; }
        left--;
      }
    }
  }
  return max(largest(i, found), 1u) - 1u;
}
/** Walks all tokens from a key on in the order of ids. */
fn walk(i: u32, least: u32, best: f32, wanted: f32) -> u32 {
  let each = (sampling.vocabulary + ${workgroupSize - 1}u) / ${workgroupSize}u;
  let from_ = min(sampling.vocabulary, i * each);
  let to = min(sampling.vocabulary, from_ + each);
  var own = 0.0;
  var last = 0u;
  for (var e = from_; e < to; e++) {
    let s = score(e);
    if (keyOf(s) >= least) {
      own += exp((s - best) / sampling.temperature);
      last = e + 1u;
    }
  }
  let fallback = largest(i, last);
  sums[i] = own;
  workgroupBarrier();
  var before = 0.0;
  for (var k = 0u; k < i; k++) { before += sums[k]; }
  var found = 0u;
  if (wanted >= before && wanted < before + own) {
    var left = wanted - before;
    for (var e = from_; e < to; e++) {
      let s = score(e);
      if (keyOf(s) >= least) {
        left -= exp((s - best) / sampling.temperature);
        found = e + 1u;
        if (left < 0.0) { break; }
      }
    }
  }
  // Rounding may leave the number after all tokens, or two that claim it.
  let end = largest(i, select(0u, ${'0xffffffffu'} - found, found > 0u));
  return select(0xffffffffu - end, fallback, end == 0u) - 1u;
}

fn choose(i: u32) -> u32 {
  var best = -3.4e38;
  var at = 0u;
  for (var e = i; e < sampling.vocabulary; e += ${workgroupSize}u) {
    let s = score(e);
    if ((bitcast<u32>(logits[e]) & 0x7fffffffu) > 0x7f800000u) { isBroken = 1u; }
    if (s > best) {
      best = s;
      at = e;
    }
  }
  let top = valueOf(largest(i, keyOf(best)));
  let first = 0xffffffffu - largest(i, select(0u, 0xffffffffu - at, best == top));
  if (sampling.temperature == 0.0 || sampling.topK == 1u) { return first; }
  var least = 0u;
  if (sampling.minP > 0.0) { least = keyOf(top + log(sampling.minP) * sampling.temperature); }
  let isLimited = sampling.topK > 0u && sampling.topK < sampling.vocabulary;
  // Of the tokens with the least key that is kept, so many by id.
  var ties = 1e9;
  if (isLimited) {
    let wanted = f32(sampling.topK);
    let key = threshold(i, wanted, false, least, top, true);
    ties = wanted - mass(i, key + 1u, top, true);
    least = key;
  }
  var above = mass(i, least + 1u, top, false);
  var weight = exp((valueOf(least) - top) / sampling.temperature);
  var held = above + min(ties * weight, mass(i, least, top, false) - above);
  if (sampling.topP < 1.0) {
    let wanted = sampling.topP * held;
    let key = threshold(i, wanted, false, least, top, false);
    if (key > least) { ties = 1e9; }
    least = key;
    above = mass(i, least + 1u, top, false);
    weight = exp((valueOf(least) - top) / sampling.temperature);
    let all = mass(i, least, top, false) - above;
    ties = min(ties, ceil((wanted - above) / weight));
    held = above + min(ties * weight, all);
  }
  let wanted = sampling.draw * held;
  if (!isLimited && sampling.topP >= 1.0) { return walk(i, least, top, wanted); }
  let key = threshold(i, wanted, true, least, top, false);
  let before = mass(i, key + 1u, top, false);
  let each = exp((valueOf(key) - top) / sampling.temperature);
  return tie(i, key, u32(max(0.0, floor((wanted - before) / each))));
}

@compute @workgroup_size(${workgroupSize})
fn main(@builtin(local_invocation_index) i: u32) {
  let id = choose(i);
  let isAnyBroken = largest(i, isBroken) == 1u;
  if (i == 0u) {
    chosen[sampling.index] = select(id, ${NO_TOKEN}u, isAnyBroken);
    ids[0] = id;
    seen[id >> 5u] |= 1u << (id & 31u);
  }
}`

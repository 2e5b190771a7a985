import { routed } from '@reallm/tensor-io/models'
import type { Expert, Experts } from '../op.ts'
import { gated, linear, rmsNorm } from './ops.ts'

/** What a mixture of experts adds to the hidden states, `[tokens, hidden]`. */
export function experts(op: Experts, hidden: Float32Array): Float32Array {
  const { spec, norm, router, shared, after } = op
  const { width } = op.hidden
  const x = norm ? rmsNorm(hidden, norm) : hidden
  const sum = shared ? outputOf(shared, x) : new Float32Array(hidden.length)
  const scores = linear(x, router.weight, router.bias)
  const reached = routed(scores, { ...spec, experts: spec.experts.length })
  for (const [e, expert] of op.experts.entries()) {
    for (const { position, share } of reached[e]) {
      const y = outputOf(expert, x.subarray(position * width, (position + 1) * width))
      for (const [i, value] of y.entries()) sum[position * width + i] += share * value
    }
  }
  return after ? rmsNorm(sum, after) : sum
}

function outputOf({ members, gate, up, spec, weight, bias }: Expert, x: Float32Array): Float32Array {
  const found = new Map([gate, up].map(slot => [slot, new Float32Array(0)]))
  for (const { weight, bias, parts } of members) {
    const y = linear(x, weight, bias)
    for (const { row, to } of parts) {
      const rows = Array.from({ length: y.length / weight.rows }, (_, t) => t * weight.rows + row)
      found.set(to, Float32Array.from(rows.flatMap(at => [...y.subarray(at, at + to.width)])))
    }
  }
  return linear(gated(found.get(gate)!, found.get(up)!, spec), weight, bias)
}

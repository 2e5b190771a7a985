import type { DenseLayer } from '@reallm/tensor-io/layouts/dense-layers'

/** A NeRV decoder: 1×1 stem, per stage a 3×3 convolution to 4× the channels and a pixel shuffle, 3×3 head. */
export interface NervDecoder {
  readonly stem: DenseLayer
  readonly stages: readonly DenseLayer[]
  readonly head: DenseLayer
  /** A linear path from latents, times their channels' gains, to blocks of 2^stages pixels; without it the output goes through tanh. */
  readonly linear?: { readonly layer: DenseLayer; readonly gains: Float32Array } | undefined
}

/** A decoder in the order in which the kernels read it. */
export interface PackedNerv {
  /**
   * Channels of the latents; stages; 1 where there is a linear path; 1 where there are convolutions, 0 where their head is all
   * zero; channels after the stem and after each stage.
   */
  readonly header: Int32Array
  /**
   * One after the other, each with its biases before its weights: linear path (`[channels, 4^stages]`), stem (`[channels,
   * outputs]`, outputs padded to a multiple of 4), stages (for each channel that its pixel shuffle writes `[inputs, 3, 3]`
   * times 4 pixels), head (`[inputs, 3, 3]`).
   */
  readonly layers: Float32Array
}

/** A header's fields. */
export function readHeader([channels, stages, linear, convolved, ...widths]: Iterable<number>) {
  return { channels, stages, linear: linear !== 0, convolved: convolved !== 0, widths }
}

/** Brings a decoder into the kernels' order. */
export function packNerv({ stem, stages, head, linear }: NervDecoder): PackedNerv {
  const silent = linear && [head.weight.data, head.bias].every(values => values.every(v => v === 0))
  const widths = [stem, ...stages].map(({ weight }, i) => (i === 0 ? weight.rows : weight.rows / 4))
  const parts: number[][] = []
  if (linear) parts.push(transposed(linear.layer, linear.layer.weight.rows, linear.gains))
  if (!silent) {
    parts.push(transposed(stem, 4 * Math.ceil(stem.weight.rows / 4)))
    for (const [s, stage] of stages.entries()) parts.push(byPlane(stage, widths[s], widths[s + 1], 4))
    parts.push(byPlane(head, widths[stages.length], 1, 1))
  }
  return {
    header: Int32Array.of(stem.weight.cols, stages.length, linear ? 1 : 0, silent ? 0 : 1, ...widths),
    layers: Float32Array.from(parts.flat()),
  }
}

/** Biases, then weights `[in, outputs]`, each input's times its gain; outputs beyond the layer's are 0. */
function transposed({ weight, bias }: DenseLayer, outputs: number, gains?: Float32Array): number[] {
  const { rows, cols, data } = weight
  const out = new Array<number>((1 + cols) * outputs).fill(0)
  for (let r = 0; r < rows; r++) {
    out[r] = bias[r]
    for (let c = 0; c < cols; c++) out[(1 + c) * outputs + r] = data[r * cols + c] * (gains?.[c] ?? 1)
  }
  return out
}

/** A 3×3 convolution whose output `q·width + i` is pixel q of plane i: per plane `pixels` biases, then `[inputs, 9, pixels]`. */
function byPlane({ weight, bias }: DenseLayer, inputs: number, width: number, pixels: number): number[] {
  const out: number[] = []
  for (let i = 0; i < width; i++) {
    for (let q = 0; q < pixels; q++) out.push(bias[q * width + i])
    for (let c = 0; c < inputs; c++)
      for (let k = 0; k < 9; k++)
        for (let q = 0; q < pixels; q++) out.push(weight.data[(q * width + i) * weight.cols + k * inputs + c])
  }
  return out
}

import { type EncodedMatrix, onnxBlocks, type onnxParts, onnxTypes, sizeOf } from '@reallm/tensor-io'
import type { Constants } from './decoder-graph.ts'
import type { Initializer } from './graph.ts'
import type { Bytes } from './protobuf.ts'

/** What a graph's constants are read from. */
export interface StoredModel {
  /** Shape and bits of a matrix, by its module. */
  readonly matrices: ReadonlyMap<
    string,
    { readonly shape: readonly [rows: number, cols: number]; readonly bits: number }
  >
  /** The codec `grid` with the parameters `onnxBlocks`. */
  matrix(module: string): Promise<EncodedMatrix>
  /** A tensor that is stored as it is, by its name: norms, biases, matrices that are not among `matrices`. */
  tensor(name: string): { readonly shape: readonly number[]; read(): Promise<Float32Array<ArrayBuffer>> }
}

/** Constants of ONNX Runtime's `MatMulNBits` and `GatherBlockQuantized`. */
export function storedConstants(model: StoredModel): Constants {
  const partsOf = (module: string) => {
    const { shape, bits } = model.matrices.get(module)!
    const [rows, cols] = shape
    const perRow = cols / onnxBlocks.group
    const initializer = (part: (typeof onnxParts)[number], width: number): Initializer => {
      const type = part === 'scales' ? 'float' : 'uint8'
      const dims = [rows, width]
      const bytes = sizeOf(dims) * onnxTypes[type].bytes
      const read = async () => bytesOf((await model.matrix(module)).parts[part].data)
      return { name: `${module}.${part}`, type, dims, bytes, read }
    }
    return {
      ...{ rows, cols, bits },
      codes: initializer('codes', (cols * bits) / 8),
      scales: initializer('scales', perRow),
      zeros: initializer('zeros', Math.ceil((perRow * bits) / 8)),
    }
  }
  return {
    linear(graph, module, x) {
      if (!model.matrices.has(module)) {
        const whole = graph.constant(plain(model, `${module}.weight`))
        return graph.node('MatMul', [x, graph.node('Transpose', [whole], { perm: [1, 0] })])
      }
      const { rows, cols, bits, codes, scales, zeros } = partsOf(module)
      const shape = graph.numbers(`blocks_${rows}_${cols}_${bits}`, [
        rows,
        cols / onnxBlocks.group,
        (onnxBlocks.group * bits) / 8,
      ])
      const flat = graph.numbers('flat', [-1])
      return graph.node(
        'com.microsoft.MatMulNBits',
        [
          x,
          graph.node('Reshape', [graph.constant(codes), shape]),
          graph.node('Reshape', [graph.constant(scales), flat]),
          graph.node('Reshape', [graph.constant(zeros), flat]),
        ],
        { K: cols, N: rows, bits, block_size: onnxBlocks.group },
      )
    },
    embed(graph, ids) {
      if (!model.matrices.has(EMBEDDING))
        return graph.node('Gather', [graph.constant(plain(model, `${EMBEDDING}.weight`)), ids])
      const { bits, codes, scales, zeros } = partsOf(EMBEDDING)
      return graph.node(
        'com.microsoft.GatherBlockQuantized',
        [graph.constant(codes), ids, graph.constant(scales), graph.constant(zeros)],
        { bits, block_size: onnxBlocks.group, gather_axis: 0, quantize_axis: 1 },
      )
    },
    vector(graph, name, offset) {
      const vector = graph.constant(plain(model, name))
      return offset === 0
        ? vector
        : graph.node('Add', [vector, graph.numbers(`offset_${offset}`, [offset], 'float', [])])
    },
  }
}

const EMBEDDING = 'model.embed_tokens'

/** A tensor as float32. */
function plain(model: StoredModel, name: string): Initializer {
  const { shape, read } = model.tensor(name)
  return {
    name,
    type: 'float',
    dims: shape,
    bytes: onnxTypes.float.bytes * sizeOf(shape),
    read: async () => bytesOf(await read()),
  }
}

const bytesOf = (data: ArrayBufferView): Bytes => {
  const { buffer, byteOffset, byteLength } = data
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength)
}

import { type EncodedMatrix, onnxBlocks, type onnxParts, onnxTypes, sizeOf } from '@reallm/tensor-io'
import type { Constants } from './decoder-graph.ts'
import type { Graph, Initializer } from './graph.ts'
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

/** Constants of ONNX Runtime's `MatMulNBits`, and of rows that are looked up. */
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
      return embedding(graph, ids, partsOf(EMBEDDING))
    },
    vector(graph, name, offset) {
      const vector = graph.constant(plain(model, name))
      return offset === 0
        ? vector
        : graph.node('Add', [vector, graph.numbers(`offset_${offset}`, [offset], 'float', [])])
    },
  }
}

interface StoredParts {
  readonly cols: number
  readonly bits: number
  readonly codes: Initializer
  readonly scales: Initializer
  readonly zeros: Initializer
}

/**
 * Rows of codes, decoded with plain operators: the build of ONNX Runtime that transformers.js takes in a page has no
 * `GatherBlockQuantized` for the CPU.
 */
function embedding(graph: Graph, ids: string, { cols, bits, codes, scales, zeros }: StoredParts): string {
  const groups = cols / onnxBlocks.group
  const rowsOf = (table: Initializer) => graph.node('Gather', [graph.constant(table), ids])
  const last = graph.numbers('last_axis', [-1])
  const each = (x: string) => graph.node('Unsqueeze', [x, last])
  const number = (value: number) => graph.numbers(`number_${value}`, [value], 'float', [])
  /** The codes in bytes as floats, `[…, count]`; of four bits the lower ones come first. */
  const unpacked = (bytes: string, count: number): string => {
    const x = graph.node('Cast', [bytes], { to: FLOAT })
    if (bits === 8) return x
    const high = graph.node('Floor', [graph.node('Mul', [x, number(1 / 16)])])
    const low = graph.node('Sub', [x, graph.node('Mul', [high, number(16)])])
    const pairs = graph.node('Concat', [each(low), each(high)], { axis: -1 })
    const flat = graph.node('Reshape', [pairs, graph.numbers('rows_flat', [0, 0, -1])])
    if (count % 2 === 0) return flat
    return graph.node('Slice', [
      flat,
      graph.numbers('from_first', [0]),
      graph.numbers(`up_to_${count}`, [count]),
      last,
    ])
  }
  const inGroups = graph.node('Reshape', [
    unpacked(rowsOf(codes), cols),
    graph.numbers(`groups_${groups}`, [0, 0, groups, onnxBlocks.group]),
  ])
  const centred = graph.node('Sub', [inGroups, each(unpacked(rowsOf(zeros), groups))])
  const decoded = graph.node('Mul', [centred, each(rowsOf(scales))])
  return graph.node('Reshape', [decoded, graph.numbers(`looked_up_${cols}`, [0, 0, cols])])
}

/** ONNX's number of float32. */
const FLOAT = 1

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

import { sizeOf } from '../../core/tensor.ts'
import type { ByteSource } from '../source/source.ts'
import { onnxTypes } from './blocks.ts'
import { type Field, fieldReader } from './fields.ts'

const typesByNumber = new Map<number, { readonly bytes: number }>(
  Object.values(onnxTypes).map(type => [type.number, type]),
)

/** A constant of a graph. */
export interface OnnxConstant {
  readonly name: string
  /** ONNX's number of its element type, see `onnxTypes`. */
  readonly type: number
  readonly dims: readonly number[]
  /** The file beside the model's that has its bytes; undefined for its own. */
  readonly file: string | undefined
  readonly start: number
  readonly bytes: number
}

/** The most constants, and axes of one, that are read. */
const mostConstants = 1e6
const mostAxes = 8

/**
 * The constants of an ONNX model: names, shapes and where their bytes lie; the bytes themselves are not read.
 *
 * @throws `bad-file` for a file that is none, or whose sizes contradict each other
 */
export async function readConstants(source: ByteSource): Promise<OnnxConstant[]> {
  const { fields, text, broken } = fieldReader(source)
  const found: OnnxConstant[] = []

  async function constant(within: { start: number; end: number }): Promise<OnnxConstant> {
    const dims: number[] = []
    const outside = new Map<string, string>()
    let [type, name] = [0, '']
    let raw: { start: number; end: number } | undefined
    for await (const field of fields(within.start, within.end)) {
      if ('value' in field) {
        if (field.number === 1) dims.push(field.value)
        if (field.number === 2) type = field.value
        if (dims.length > mostAxes) throw broken(`a constant has more than ${mostAxes} axes`)
      } else if (field.number === 8) name = await text(field)
      else if (field.number === 9) raw = field
      else if (field.number === 13) outside.set(...(await entry(field)))
    }
    const size = typesByNumber.get(type)?.bytes
    const place = raw ?? { start: Number(outside.get('offset') ?? 0), end: Number.NaN }
    const bytes = raw ? raw.end - raw.start : Number(outside.get('length'))
    if (size !== undefined && bytes !== size * sizeOf(dims)) {
      throw broken(`the constant ${name} [${dims.join('×')}] has ${bytes} bytes`)
    }
    const file = raw ? undefined : outside.get('location')
    return { name, type, dims, file, start: place.start, bytes }
  }

  async function entry(within: { start: number; end: number }): Promise<[key: string, value: string]> {
    const parts = ['', '', '']
    for await (const field of fields(within.start, within.end)) {
      if ('start' in field && field.number < 3) parts[field.number] = await text(field)
    }
    return [parts[1], parts[2]]
  }

  const isGraph = (field: Field) => field.number === 7 && 'start' in field
  for await (const graph of fields(0, source.size)) {
    if (!isGraph(graph) || !('start' in graph)) continue
    for await (const field of fields(graph.start, graph.end)) {
      if (field.number !== 5 || !('start' in field)) continue
      found.push(await constant(field))
      if (found.length > mostConstants) throw broken(`it has more than ${mostConstants} constants`)
    }
  }
  return found
}

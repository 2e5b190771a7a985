import { createAtomicFile, onnxTypes } from '@reallm/tensor-io'
import { type Graph, type Initializer, port } from './graph.ts'
import { type Bytes, head, integer, join, lengthOf, message, string } from './protobuf.ts'

/** Larger models keep their constants in a file of their own: protocol buffers end at 2 GB. */
const largestFile = 2 ** 31 - 2 ** 20

/** Constants of fewer bytes stay in the model's file. */
const smallConstant = 1024

/** Of the operators of ONNX and of ONNX Runtime. */
const operatorSets = [
  message(8, [string(1, ''), integer(2, 21)]),
  message(8, [string(1, 'com.microsoft'), integer(2, 1)]),
]

export interface WrittenOnnx {
  /** Names of the files: the model, and where it exceeds 2 GB the one with its constants. */
  readonly files: readonly string[]
  readonly bytes: number
}

/**
 * Writes a graph as an ONNX file, constant by constant; one of them in memory.
 *
 * @param path without the name's ending `.onnx`
 * @param limit bytes of a model in one file; for tests
 */
export async function writeOnnx(graph: Graph, path: string, limit = largestFile): Promise<WrittenOnnx> {
  const total = graph.initializers.reduce((sum, { bytes }) => sum + bytes, 0)
  const isSplit = total + lengthOf(graph.nodes) > limit
  const name = path.slice(path.lastIndexOf('/') + 1)
  const place = isSplit ? `${name}.onnx_data` : undefined
  let offset = 0
  const outside: Initializer[] = []
  const tensors = graph.initializers.map(initializer => {
    const isOutside = place !== undefined && initializer.bytes >= smallConstant
    if (!isOutside) return { initializer, parts: inside(initializer) }
    outside.push(initializer)
    const parts = [...about(initializer), ...elsewhere(place, offset, initializer.bytes)]
    offset += initializer.bytes
    return { parts }
  })
  const before = [...graph.nodes, string(2, 'model')]
  const after = [...graph.inputs.map(p => port(11, p)), ...graph.outputs.map(p => port(12, p))]
  const lengths = tensors.map(({ initializer, parts }) => lengthOf(parts) + (initializer?.bytes ?? 0))
  const ofGraph =
    lengthOf(before) + lengthOf(after) + lengths.reduce((sum, n) => sum + head(5, n).length + n, 0)

  const model = await stream(`${path}.onnx`, async write => {
    await write(join([integer(1, 10), string(2, 'reallm'), head(7, ofGraph), ...before]))
    for (const [i, { initializer, parts }] of tensors.entries()) {
      await write(join([head(5, lengths[i]), ...parts]))
      if (initializer) await write(await initializer.read())
    }
    await write(join([...after, ...operatorSets]))
  })
  if (place === undefined) return { files: [`${name}.onnx`], bytes: model }
  const data = await stream(`${path}.onnx_data`, async write => {
    for (const initializer of outside) await write(await initializer.read())
  })
  return { files: [`${name}.onnx`, place], bytes: model + data }
}

const about = ({ name, type, dims }: Initializer): Bytes[] => [
  ...dims.map(dim => integer(1, dim)),
  integer(2, onnxTypes[type].number),
  string(8, name),
]

/** Everything before the bytes of a constant that follow at once. */
const inside = (initializer: Initializer): Bytes[] => [...about(initializer), head(9, initializer.bytes)]

const elsewhere = (location: string, offset: number, length: number): Bytes[] => [
  ...Object.entries({ location, offset, length }).map(([key, value]) =>
    message(13, [string(1, key), string(2, `${value}`)]),
  ),
  integer(14, 1),
]

/** Writes a file from its beginning; returns its bytes. */
async function stream(
  path: string,
  produce: (write: (part: Bytes) => Promise<void>) => Promise<void>,
): Promise<number> {
  const file = await createAtomicFile(path)
  let at = 0
  try {
    await produce(async part => {
      await file.write(part, at)
      at += part.length
    })
    await file.commit()
  } catch (error) {
    await file.abort()
    throw error
  }
  return at
}

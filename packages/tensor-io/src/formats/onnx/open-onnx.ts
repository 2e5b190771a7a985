import { checkParts } from '../../codec/layout.ts'
import { decodeCodedRows } from '../../codec/layouts/coded-rows.ts'
import { gridLayout, readGrid } from '../../codec/layouts/grid.ts'
import { ReallmError } from '../../core/errors.ts'
import { tensor } from '../../core/tensor.ts'
import type { ModelFiles } from '../model-files.ts'
import type { Directory } from '../open/directory.ts'
import type { ByteSource } from '../source/source.ts'
import { findTensor, rowShape, type TensorInfo, type TensorStore } from '../store.ts'
import { onnxBlocks, onnxMatrixBits, onnxTypes } from './blocks.ts'
import { type OnnxConstant, readConstants } from './read-constants.ts'

/** A matrix of ONNX Runtime's quantised operators: codes, scales and zero points, rows side by side. */
interface Blocks {
  readonly codes: OnnxConstant
  readonly scales: OnnxConstant
  readonly zeros: OnnxConstant
}

interface Stored extends TensorInfo {
  readonly blocks?: Blocks
  readonly whole?: OnnxConstant
  readonly bits: number
}

/**
 * Opens the ONNX model in a directory as `compress --target onnx` writes it: its quantised matrices read decoded, under the
 * names of Hugging Face.
 *
 * @throws `bad-file` for a damaged file; `unsupported` for one of another program
 */
export async function openOnnx(
  dir: Directory,
  opened: Pick<ModelFiles, 'spec' | 'config' | 'files' | 'readFile' | 'warnings'>,
  file: string,
): Promise<ModelFiles> {
  const sources = new Map<string, ByteSource>([[file, await dir.open(file)]])
  const close = async () => {
    for (const source of sources.values()) await source.close()
  }
  try {
    const constants = await readConstants(sources.get(file)!)
    const folder = file.slice(0, file.lastIndexOf('/') + 1)
    for (const place of new Set(constants.map(constant => constant.file))) {
      if (place === undefined) continue
      if (/[/\\]/.test(place))
        throw new ReallmError('bad-file', `${dir.name}: ${file} names a file ${place} elsewhere`)
      sources.set(folder + place, await dir.open(folder + place))
    }
    const homeOf = ({ file: place }: OnnxConstant) =>
      sources.get(place === undefined ? file : folder + place)!
    const stored = storedTensors(`${dir.name}: ${file}`, constants)
    for (const constant of constants) {
      if (constant.start + constant.bytes <= homeOf(constant).size) continue
      throw new ReallmError('bad-file', `${dir.name}: ${constant.name} ends beyond its file`)
    }
    const bytes = [...sources.values()].reduce((sum, { size }) => sum + size, 0)
    return { ...opened, ...storeOf(file, stored, homeOf, close), kind: 'onnx', bytes, metadata: {} }
  } catch (error) {
    await close()
    throw error
  }
}

/** Constants under the names of tensors: what belongs together is one matrix. */
function storedTensors(where: string, constants: readonly OnnxConstant[]): Map<string, Stored> {
  const byName = new Map(constants.map(constant => [constant.name, constant]))
  const tensors = new Map<string, Stored>()
  for (const constant of constants) {
    const { name, dims, type, bytes } = constant
    const module = /^(.+)\.codes$/.exec(name)?.[1]
    const [scales, zeros] = ['scales', 'zeros'].map(part => byName.get(`${module}.${part}`))
    if (module !== undefined && scales && zeros) {
      const shape = [dims[0], onnxBlocks.group * scales.dims[1]]
      const bits = (8 * dims[1]) / shape[1]
      if (!onnxMatrixBits.some(known => known === bits))
        throw new ReallmError('bad-file', `${where}: ${module} has ${bits} bits a code`)
      const blocks = { codes: constant, scales, zeros }
      const all = bytes + scales.bytes + zeros.bytes
      tensors.set(`${module}.weight`, { dtype: `MatMulNBits ${bits}`, shape, bytes: all, blocks, bits })
    } else if (type === onnxTypes.float.number && /\.(weight|bias)$/.test(name)) {
      tensors.set(name, { dtype: 'F32', shape: dims, bytes, whole: constant, bits: 32 })
    }
  }
  if (tensors.size > 0) return tensors
  throw new ReallmError(
    'unsupported',
    `${where}: its constants are not named as \`compress --target onnx\` names them`,
    {
      hint: 'open the model that it was made of',
    },
  )
}

function storeOf(
  where: string,
  tensors: ReadonlyMap<string, Stored>,
  homeOf: (constant: OnnxConstant) => ByteSource,
  close: () => Promise<void>,
): TensorStore {
  const rowsOf = async (constant: OnnxConstant, from: number, to: number) => {
    const perRow = constant.bytes / (constant.dims[0] ?? 1)
    return homeOf(constant).read(constant.start + from * perRow, constant.start + to * perRow)
  }
  const floats = (bytes: Uint8Array<ArrayBuffer>) =>
    new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)

  async function readFloat32(name: string, rows?: readonly [number, number]) {
    const { shape, blocks, whole, bits } = findTensor(tensors, name, where)
    const [from, to] = rows ?? [0, shape[0] ?? 1]
    const part = rowShape(name, { shape }, [from, to])
    if (whole) return tensor('F32', part, floats(await rowsOf(whole, from, to)))
    const [codes, scales, zeros] = await Promise.all(
      [blocks!.codes, blocks!.scales, blocks!.zeros].map(constant => rowsOf(constant, from, to)),
    )
    const [count, cols] = [part[0], shape[1]]
    const encoded = checkParts(gridLayout, {
      codec: 'grid',
      shape: [count, cols],
      params: { bits, ...onnxBlocks },
      parts: {
        codes: tensor('U8', [count, codes.length / count], codes),
        scales: tensor('F32', [count, cols / onnxBlocks.group], floats(scales)),
        zeros: tensor('U8', [count, zeros.length / count], zeros),
      },
    })
    const out = new Float32Array(count * cols)
    if (count > 0) decodeCodedRows(readGrid(encoded), 0, count, out)
    return tensor('F32', part, out)
  }
  return { tensors, read: name => readFloat32(name), readFloat32, close }
}

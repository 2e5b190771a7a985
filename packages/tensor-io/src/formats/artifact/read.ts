import type { EncodedMatrix } from '../../codec/encoded-matrix.ts'
import type { Registry } from '../../codec/registry.ts'
import { errorAt, ReallmError } from '../../core/errors.ts'
import { toFloat32 } from '../../core/float.ts'
import { type Matrix, tensor } from '../../core/tensor.ts'
import type { ModelFiles } from '../model-files.ts'
import { findTensor, type Rows, rowShape, type TensorInfo, type TensorStore } from '../store.ts'
import type { Artifact } from './artifact.ts'
import { type ArtifactModule, tensorsOf } from './manifest.ts'
import { assemble } from './stored-matrix.ts'

/**
 * The compressed matrices of an opened artifact, to run or inspect them undecoded.
 * Throws `bad-option` when the model is no artifact.
 *
 * @example
 * const { modules, readEncoded } = readArtifact(await openModel('out'))
 * for (const [name, { codec, bits }] of modules) console.log(name, codec, bits)
 */
export function readArtifact(files: ModelFiles): Artifact {
  if (files.artifact) return files.artifact
  throw new ReallmError(
    'bad-option',
    `${files.spec}: it is no compressed artifact but a ${files.kind} model`,
    {
      hint: 'compress it first: reallm compress',
    },
  )
}

/** Stored matrices over the tensors of a store. */
export function artifactOf(
  where: string,
  modules: ReadonlyMap<string, ArtifactModule>,
  store: TensorStore,
): Artifact {
  return {
    modules,
    async readEncoded(module) {
      const stored = findTensor(modules, module, where)
      const names = tensorsOf(module, stored)
      return assemble(stored, part => store.read(names.get(part)!))
    },
  }
}

/**
 * A store in which `<module>.weight` reads decoded, in place of the module's parts. The matrix that rows were last
 * read of is kept, so that reading on does not decode it anew.
 */
export function decodedStore(
  where: string,
  store: TensorStore,
  { modules, readEncoded }: Artifact,
  registry: Registry,
): TensorStore {
  const moduleOf = new Map([...modules.keys()].map(name => [`${name}.weight`, name]))
  const tensors = new Map<string, TensorInfo>(store.tensors)
  for (const [name, stored] of modules) {
    const parts = tensorsOf(name, stored)
    let bytes = 0
    for (const [part, tensor] of parts) {
      if (stored.shared?.[part] === undefined) bytes += store.tensors.get(tensor)!.bytes
      tensors.delete(tensor)
    }
    tensors.set(`${name}.weight`, { dtype: stored.codec, shape: stored.shape, bytes })
  }
  let kept: { readonly module: string; rows(from: number, to: number): Matrix } | undefined

  async function read(name: string, rows?: Rows) {
    const module = moduleOf.get(name)
    if (module === undefined) {
      findTensor(tensors, name, where)
      return rows ? store.readFloat32(name, rows) : store.read(name)
    }
    const shape = rows ? rowShape(name, tensors.get(name)!, rows) : modules.get(module)!.shape
    try {
      if (!rows) return matrixTensor(registry.decode(await readEncoded(module)))
      if (kept?.module !== module) kept = { module, rows: rowReader(registry, await readEncoded(module)) }
      return tensor('F32', shape, kept.rows(...rows).data as Float32Array<ArrayBuffer>)
    } catch (cause) {
      throw errorAt(`${where}: ${module}`, cause)
    }
  }

  return {
    tensors,
    read,
    async readFloat32(name, rows) {
      const stored = await read(name, rows)
      return tensor('F32', stored.shape, toFloat32(stored))
    },
    async close() {
      kept = undefined
      await store.close()
    },
  }
}

/** Reads rows of a matrix: alone where the codec can, otherwise out of the whole, decoded once. */
function rowReader(registry: Registry, e: EncodedMatrix): (from: number, to: number) => Matrix {
  const codec = registry.codecOf(e)
  if (codec.decodeRows) return (from, to) => codec.decodeRows!(e, from, to)
  const whole = codec.decode(e)
  return (from, to) => ({
    rows: to - from,
    cols: whole.cols,
    data: whole.data.slice(from * whole.cols, to * whole.cols),
  })
}

const matrixTensor = ({ rows, cols, data }: Matrix) =>
  tensor('F32', [rows, cols], data as Float32Array<ArrayBuffer>)

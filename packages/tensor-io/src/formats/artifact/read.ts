import type { EncodedMatrix } from '../../codec/encoded-matrix.ts'
import type { Registry } from '../../codec/registry.ts'
import { ReallmError } from '../../core/errors.ts'
import type { Matrix } from '../../core/tensor.ts'
import type { ModelFiles } from '../model-files.ts'
import { type ComputedTensor, overlayStore } from '../overlay-store.ts'
import { findTensor, type TensorStore } from '../store.ts'
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
 * read of is kept.
 */
export function decodedStore(
  where: string,
  store: TensorStore,
  { modules, readEncoded }: Artifact,
  registry: Registry,
): TensorStore {
  const computed = new Map<string, ComputedTensor>()
  for (const [module, stored] of modules) {
    const parts = tensorsOf(module, stored)
    const own = [...parts].filter(([part]) => stored.shared?.[part] === undefined)
    computed.set(`${module}.weight`, {
      label: module,
      dtype: stored.codec,
      shape: stored.shape,
      bytes: own.reduce((sum, [, tensor]) => sum + store.tensors.get(tensor)!.bytes, 0),
      parts: [...parts.values()],
      read: async () => registry.decode(await readEncoded(module)).data as Float32Array<ArrayBuffer>,
      async readRows() {
        const rows = rowReader(registry, await readEncoded(module))
        return (from, to) => rows(from, to).data as Float32Array<ArrayBuffer>
      },
    })
  }
  return overlayStore(where, store, computed)
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

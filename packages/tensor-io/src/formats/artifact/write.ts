import { type EncodedMatrix, partsOf } from '../../codec/encoded-matrix.ts'
import { ReallmError } from '../../core/errors.ts'
import { sizeOf, type Tensor, tensorBytes } from '../../core/tensor.ts'
import type { ModelFiles } from '../model-files.ts'
import { writeSafetensors } from '../safetensors/write.ts'
import { type AtomicFile, createAtomicFile } from '../source/atomic-file.ts'
import { fileError } from '../source/file-error.ts'
import { openFileSource } from '../source/file-source.ts'
import { makeFolder } from '../source/make-folder.ts'
import { nodeModule } from '../source/node.ts'
import { bytesSource } from '../source/source.ts'
import { isArtifact } from './is-artifact.ts'
import { type ArtifactModule, artifactVersion } from './manifest.ts'
import { blockSize } from './shard-sums.ts'
import { describe, type StoredMatrix } from './stored-matrix.ts'
import { sha256, sha256OfBlocks } from './verify.ts'

/** Options of writing an artifact. */
export interface ArtifactOptions {
  /** `config.json` of the original model; its `quantization_config` is replaced. */
  readonly config: Readonly<Record<string, unknown>>
  /** The original: tokenizer, generation settings and licence are copied unchanged. */
  readonly filesOf?: Pick<ModelFiles, 'files' | 'readFile'> | undefined
  /** A shard is written when it reaches this size, in bytes; 512 MiB unless told otherwise. */
  readonly maxShardBytes?: number | undefined
}

/** Writes an artifact; tensors are held until their shard is written. */
export interface ArtifactWriter {
  /** Adds a compressed matrix; `module` is the layer's name without `.weight`. */
  addMatrix(module: string, e: EncodedMatrix): Promise<void>
  /** Adds a tensor that is stored plainly, under its full name. */
  addTensor(name: string, tensor: Tensor): Promise<void>
  /** Writes what was added since the last shard, if anything, as a shard of its own. */
  nextShard(): Promise<void>
  /**
   * Writes the last shard, index, `reallm-report.json`, `README.md` (the model card, which may depend on the size of the
   * shards in bytes) and, last of all, `config.json`. Returns the names of the files and the size of the shards, in bytes.
   */
  finish(
    report?: unknown,
    card?: string | ((bytes: number) => string),
  ): Promise<{ readonly files: readonly string[]; readonly bytes: number }>
  /** Deletes what was written; a write that fails does so by itself. */
  abort(): Promise<void>
}

const partialShard = /^shard-\d+\.partial(\.partial)?$/

/**
 * Starts writing an artifact to a directory. Nothing has its final name before `finish`; the same calls always give
 * the same bytes. An artifact that is there already is replaced, any other model refused with `bad-option`.
 *
 * @example
 * const writer = await createArtifactWriter('out', { config: model.config, filesOf: model })
 * await writer.addMatrix('model.layers.0.mlp.down_proj', encoded)
 * await writer.finish({ matrices: [] }, '# My model')
 */
export async function createArtifactWriter(dir: string, options: ArtifactOptions): Promise<ArtifactWriter> {
  const fs = nodeModule('fs/promises')
  const { join } = nodeModule('path')
  const { config, filesOf, maxShardBytes = 2 ** 29 } = options
  const replaced = await prepare(dir)

  const modules = new Map<string, WrittenMatrix>()
  /** Names of the tensors of matrices by their contents. */
  const nameOf = new Map<string, string>()
  const shardOf = new Map<string, number>()
  const sums: { bytes: number; sha256: string; blocks: string[] }[] = []
  const started: AtomicFile[] = []
  const partialOf = (n: number) => join(dir, `shard-${n}.partial`)
  let held: Record<string, Tensor> = {}
  let heldBytes = 0

  async function add(tensors: Readonly<Record<string, Tensor>>): Promise<void> {
    for (const [name, tensor] of Object.entries(tensors)) {
      if (shardOf.has(name)) throw new ReallmError('bad-tensor', `${name} is in the artifact already`)
      shardOf.set(name, sums.length)
      held[name] = tensor
      heldBytes += tensorBytes(tensor).length
    }
    if (heldBytes >= maxShardBytes) await orAbort(nextShard())
  }

  async function nextShard(): Promise<void> {
    if (Object.keys(held).length === 0) return
    const path = partialOf(sums.length + 1)
    await writeSafetensors(path, held, { format: 'pt' })
    const source = await openFileSource(path)
    sums.push({
      bytes: source.size,
      sha256: await sha256(source),
      blocks: await sha256OfBlocks(source, blockSize),
    })
    await source.close()
    held = {}
    heldBytes = 0
  }

  async function start(name: string, contents: Uint8Array): Promise<void> {
    const file = await createAtomicFile(join(dir, name))
    started.push(file)
    await file.write(contents, 0)
    await file.flush()
  }

  async function abort(): Promise<void> {
    for (const file of started) await file.abort()
    for (let i = 1; i <= sums.length; i++) await fs.rm(partialOf(i), { force: true })
  }

  async function orAbort<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      await abort()
      throw error
    }
  }

  async function finish(report?: unknown, card?: string | ((bytes: number) => string)) {
    await nextShard()
    const bytes = sums.reduce((sum, shard) => sum + shard.bytes, 0)
    const digits = (n: number) => String(n).padStart(5, '0')
    const shards = sums.map((_, i) =>
      sums.length === 1
        ? 'model.safetensors'
        : `model-${digits(i + 1)}-of-${digits(sums.length)}.safetensors`,
    )
    const copies = (filesOf?.files ?? []).filter(name => companions.test(name))
    const small = [
      'config.json',
      ...(report === undefined ? [] : ['reallm-report.json']),
      ...(card === undefined ? [] : ['README.md']),
    ]
    const texts: Record<string, string> = {
      'model.safetensors.index.json': json({
        metadata: {
          total_size: bytes,
          // for who cannot list a directory
          files: [...small, ...copies].sort(),
          bytes: Object.fromEntries(shards.map((shard, i) => [shard, sums[i].bytes])),
          sha256: Object.fromEntries(shards.map((shard, i) => [shard, sums[i].sha256])),
          blocks: {
            size: blockSize,
            sha256: Object.fromEntries(shards.map((shard, i) => [shard, sums[i].blocks])),
          },
        },
        weight_map: Object.fromEntries(sorted(shardOf).map(([name, i]) => [name, shards[i]])),
      }),
      ...(report === undefined ? {} : { 'reallm-report.json': json(report) }),
      ...(card === undefined ? {} : { 'README.md': typeof card === 'string' ? card : card(bytes) }),
      'config.json': json({
        ...config,
        quantization_config: {
          quant_method: 'reallm',
          version: artifactVersion,
          modules: Object.fromEntries(sorted(entriesOf(modules))),
        },
      }),
    }
    for (const name of copies) await start(name, await filesOf!.readFile(name))
    for (const [name, text] of Object.entries(texts)) await start(name, new TextEncoder().encode(text))

    // everything is on the disk: from here on there are only names to give, that of config.json last
    for (const [i, shard] of shards.entries()) await rename(partialOf(i + 1), join(dir, shard))
    for (const old of replaced) if (!shards.includes(old)) await fs.rm(join(dir, old), { force: true })
    for (const file of started) await file.commit()
    return { files: [...shards, ...copies, ...Object.keys(texts)].sort(), bytes }
  }

  return {
    async addMatrix(module, e) {
      const fresh: Record<string, Tensor> = {}
      const parts = new Map<string, { readonly name: string; readonly bits: number }>()
      for (const [part, t] of Object.entries(partsOf(e))) {
        const own = `${module}.${part}`
        const bytes = tensorBytes(t).length
        const key = bytes < SMALLEST_SHARED ? own : await contentsOf(t)
        const name = nameOf.get(key) ?? own
        nameOf.set(key, name)
        if (name === own) fresh[own] = t
        parts.set(part, { name, bits: 8 * bytes })
      }
      await add(fresh)
      modules.set(module, { description: describe(e), parts })
    },
    addTensor: (name, tensor) => add({ [name]: tensor }),
    nextShard: () => orAbort(nextShard()),
    finish: (report, card) => orAbort(finish(report, card)),
    abort,
  }
}

/** Bytes from which on an artifact stores tensors of equal contents (a decoder that a group of matrices shares) once. */
export const SMALLEST_SHARED = 64

interface WrittenMatrix {
  readonly description: StoredMatrix
  /** Tensors of its parts. */
  readonly parts: ReadonlyMap<string, { readonly name: string; readonly bits: number }>
}

async function contentsOf(t: Tensor): Promise<string> {
  return `${t.dtype} ${t.shape.join('×')} ${await sha256(bytesSource('a tensor', tensorBytes(t)))}`
}

/** What `config.json` says of the matrices: a shared tensor's bits are split evenly. */
function entriesOf(modules: ReadonlyMap<string, WrittenMatrix>): [string, ArtifactModule][] {
  const users = new Map<string, number>()
  for (const { parts } of modules.values())
    for (const { name } of parts.values()) users.set(name, (users.get(name) ?? 0) + 1)
  return [...modules].map(([module, { description, parts }]) => {
    const all = [...parts]
    const bits = all.reduce((sum, [, part]) => sum + part.bits / users.get(part.name)!, 0)
    const shared = all.filter(([part, { name }]) => name !== `${module}.${part}`)
    const entry = { ...description, bits: bits / sizeOf(description.shape) }
    if (shared.length === 0) return [module, entry]
    return [module, { ...entry, shared: Object.fromEntries(shared.map(([part, { name }]) => [part, name])) }]
  })
}

/** Files of the original that belong to any form of the model: tokenizer, generation settings, licence. */
const companions =
  /^(tokenizer|vocab|merges|special_tokens_map|added_tokens|generation_config|chat_template|licen[cs]e|notice|use_policy)(?![a-z])|^[^/]+\.jinja$/i

/** Makes the directory, clears what an interrupted run left; the shards of an artifact that will be replaced. */
async function prepare(dir: string): Promise<string[]> {
  const fs = nodeModule('fs/promises')
  const { join } = nodeModule('path')
  try {
    await makeFolder(dir)
    const names = await fs.readdir(dir)
    for (const name of names) if (partialShard.test(name)) await fs.rm(join(dir, name))
    const shards = names.filter(name => name.endsWith('.safetensors'))
    const config = names.includes('config.json') ? await fs.readFile(join(dir, 'config.json'), 'utf8') : '{}'
    if ((shards.length === 0 && config === '{}') || isArtifact(parsed(config))) return shards
  } catch (cause) {
    throw fileError(cause, dir, 'write')
  }
  throw new ReallmError('bad-option', `${dir}: there is a model in it that is not an artifact`, {
    hint: 'write to another directory',
  })
}

function parsed(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    return {}
  }
}

async function rename(from: string, to: string): Promise<void> {
  await nodeModule('fs/promises')
    .rename(from, to)
    .catch((cause: unknown) => {
      throw fileError(cause, to, 'write')
    })
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

const sorted = <T>(entries: Iterable<readonly [string, T]>) =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : 1))

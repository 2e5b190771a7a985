import { bytesText, counted, type ModelFiles, ReallmError } from '@reallm/tensor-io'
import type { Review } from '@reallm/tensor-io/models'
import { Command } from 'commander'
import { type Io, print, progressOn, table } from '../io.ts'
import { publicKeyOption, readKey } from '../key-file.ts'

interface Options {
  check?: boolean | undefined
  publicKey?: string | undefined
  json?: boolean | undefined
}

/** `reallm inspect <model>` */
export const inspectCommand = (io: Io): Command =>
  new Command('inspect')
    .description(
      'List the tensors of any model file or artifact (dtypes, shapes, bits, codecs, metadata), and what in it cannot be used.',
    )
    .argument('<model>', 'directory, .gguf, .safetensors, artifact, hf:owner/name or npm:@scope/name')
    .option(...publicKeyOption)
    .option('--check', 'read all weights, and name the first that is not finite')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm inspect model.gguf                       every tensor with its block type
  $ reallm inspect out/                             codec and bits per weight of each matrix
  $ reallm inspect hf:HuggingFaceTB/SmolLM2-135M-Instruct --json | jq .parameters
`,
    )
    .action(async (spec: string, options: Options) => {
      const { openModel, sizeOf } = await import('@reallm/tensor-io')
      const { builtInRegistry } = await import('@reallm/pipeline')
      const model = await openModel(spec, {
        registry: builtInRegistry(),
        publicKey: await readKey(options.publicKey),
      })
      const modules = storedModules(model.config)
      const tensors = [...model.tensors].map(([name, { dtype, shape, bytes }]) => {
        const module = modules.get(name.replace(/\.weight$/, ''))
        const bits = (8 * bytes) / Math.max(1, sizeOf(shape))
        return {
          name,
          dtype,
          shape,
          bytes,
          bits,
          ...(module && { codec: module.codec, params: module.params }),
        }
      })
      const parameters = tensors.reduce((sum, t) => sum + sizeOf(t.shape), 0)
      const summary = {
        spec: model.spec,
        kind: model.kind,
        ...(model.quantised !== undefined && { quantised: model.quantised }),
        bytes: model.bytes,
        parameters,
        bitsPerWeight: parameters > 0 ? (8 * model.bytes) / parameters : 0,
        files: model.files,
        config: model.config,
        metadata: model.metadata,
        tensors,
      }
      const { warnings, refused } = await review(model, options.check ? io : undefined).finally(() =>
        model.close(),
      )
      const text = () => {
        const rows = tensors.map(t => [
          t.name,
          t.codec ?? t.dtype,
          t.shape.join('×'),
          t.bits.toFixed(2),
          bytesText(t.bytes),
        ])
        const metadata = Object.entries(model.metadata).map(([key, value]) => `  ${key}: ${brief(value)}\n`)
        return [
          `${model.spec}: ${model.kind}, ${counted(tensors.length, 'tensor')}, ${parameters.toLocaleString('en')} weights, `,
          `${bytesText(model.bytes)}, ${summary.bitsPerWeight.toFixed(2)} bits per weight\n`,
          model.quantised === undefined ? '' : `quantised by ${model.quantised}; read decoded\n`,
          ...warnings.map(warning => `warning: ${warning}\n`),
          ...refused.map(
            ({ message, hint }) => `cannot be run: ${message}\n${hint ? `  hint: ${hint}\n` : ''}`,
          ),
          metadata.length > 0 ? `\nmetadata\n${metadata.join('')}` : '',
          `\n${table([['tensor', 'stored as', 'shape', 'bits', 'size'], ...rows])}`,
        ].join('')
      }
      const integers = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
      if (options.json) io.out(`${JSON.stringify({ ...summary, warnings, refused }, integers)}\n`)
      else print(io, options, summary, text)
      if (options.check && refused.length > 0) throw new ReallmError('bad-file', `${spec}: cannot be run`)
    })

interface StoredModule {
  readonly codec: string
  readonly params: unknown
}

/** Codecs by module, from an artifact's config.json; the outermost first: `rotation(trellis)`. */
function storedModules(config: Readonly<Record<string, unknown>>): Map<string, StoredModule> {
  type Entry = { codec: string; params: unknown; inner?: Entry }
  const { modules = {} } = (config.quantization_config ?? {}) as { modules?: Record<string, Entry> }
  const nameOf = (e: Entry): string => (e.inner ? `${e.codec}(${nameOf(e.inner)})` : e.codec)
  return new Map(
    Object.entries(modules)
      .filter(([, entry]) => typeof entry?.codec === 'string')
      .map(([name, entry]) => [name, { codec: nameOf(entry), params: entry.params }]),
  )
}

/** A metadata value in one short line. */
function brief(value: unknown): string {
  if (Array.isArray(value) && value.length > 4)
    return `[${value.slice(0, 3).join(', ')}, … ${value.length} in all]`
  const text =
    typeof value === 'string'
      ? value
      : JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))
  return text.length > 90 ? `${text.slice(0, 87).replaceAll('\n', '⏎')}…` : text.replaceAll('\n', '⏎')
}

/** What opening the model to run it would say; where there is nothing to refuse, also of its weights, if they are to be read. */
async function review(model: ModelFiles, reading: Io | undefined): Promise<Review> {
  const { openWeights, reviewFiles } = await import('@reallm/tensor-io/models')
  const found = await reviewFiles(model)
  if (!reading || found.refused.length > 0) return found
  const { checkWeights } = await import('@reallm/pipeline')
  const { onProgress, end } = progressOn(reading)
  try {
    await checkWeights(await openWeights(model), { signal: reading.signal, onProgress })
    return found
  } catch (error) {
    if (!(error instanceof ReallmError && error.code === 'numeric')) throw error
    const { message, hint } = error
    return { ...found, refused: [{ message, ...(hint !== undefined && { hint }) }] }
  } finally {
    end()
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { charTokenizer } from '../../packages/testing/src/char-tokenizer.ts'

const root = join(import.meta.dirname, '../..')
const inject = pathToFileURL(join(import.meta.dirname, 'inject.mjs')).href

/** A command that writes, as a user calls it. */
export interface FaultCommand {
  readonly name: string
  /** Its arguments, the model second, given the folder of the models and the output. */
  args(models: string, out: string): string[]
  /** What is added to go on after a fault. */
  readonly again: '--resume' | '--force'
  /** Files that depend on nothing but the arguments; all of them when there is only one output file. */
  readonly files: RegExp
}

const compressed = ['--recipe', 'gptq', '--effort', 'fast', '--no-eval', '--threads', '0', '-b', '3']
const weights = /safetensors$|index\.json$|^config\.json$|\.gguf$/

export const commands: readonly FaultCommand[] = [
  {
    name: 'compress',
    args: (models, out) => ['compress', join(models, 'model'), '-o', out, ...compressed],
    again: '--resume',
    files: weights,
  },
  {
    name: 'finetune',
    args: (models, out) => [
      ...['finetune', join(models, 'base'), '--data', join(models, 'data.txt'), '-o', out],
      ...['--steps', '2', '--length', '16', '--rows', '1', '--rank', '2'],
    ],
    again: '--resume',
    files: weights,
  },
  {
    name: 'convert to GGUF',
    args: (models, out) => ['convert', join(models, 'plain'), '-o', `${out}.gguf`],
    again: '--force',
    files: weights,
  },
  {
    name: 'convert to safetensors',
    args: (models, out) => ['convert', join(models, 'base'), '-o', out, '--dtype', 'f32'],
    again: '--force',
    files: weights,
  },
  {
    name: 'pack',
    args: (models, out) => ['pack', join(models, 'base'), '-o', out, '--name', '@me/model'],
    again: '--force',
    files: /./,
  },
]

export interface Ended {
  /** Exit code, or the signal. */
  readonly end: number | string
  readonly err: string
  /** Changes to the file system. */
  readonly changes: number
}

/** A folder with models, those of another one where it is given, and outputs, and the built command line to run there. */
export async function faultFolder(other?: { readonly models: string }) {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-faults-'))
  const models = join(folder, 'models')
  const outputs = join(folder, 'outputs')
  const count = join(folder, 'count')

  const kept = join(folder, 'kept')

  /** Puts back the weights that a fault has changed. */
  const restore = () => cp(kept, models, { recursive: true })

  async function run(args: readonly string[], fault = 'none@0'): Promise<Ended> {
    const env = {
      ...process.env,
      REALLM_CACHE: join(folder, 'cache'),
      REALLM_FAULT: fault,
      REALLM_FAULT_ROOT: outputs,
      REALLM_FAULT_COUNT: count,
      REALLM_FAULT_SOURCE: join(args[1], 'model.safetensors'),
    }
    const cli = join(root, 'packages/reallm/dist/cli.js')
    const child = spawn(process.execPath, ['--import', inject, cli, ...args], { env })
    let err = ''
    child.stderr.on('data', chunk => {
      err += chunk
    })
    const [code, signal] = await once(child, 'close')
    return { end: signal ?? code, err, changes: Number(await readFile(count, 'utf8').catch(() => 0)) }
  }

  /** An empty folder for outputs. */
  async function fresh(): Promise<string> {
    await rm(outputs, { recursive: true, force: true })
    await mkdir(outputs)
    return join(outputs, 'out')
  }

  /** What a command's outputs hold, by name. */
  async function contents({ files }: FaultCommand): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const entry of await readdir(outputs, { recursive: true, withFileTypes: true })) {
      const inWork = /\.work|\.removed/.test(entry.parentPath.slice(outputs.length))
      if (!entry.isFile() || inWork || entry.name.startsWith('.') || !files.test(entry.name)) continue
      const path = join(entry.parentPath, entry.name)
      found.set(path.slice(outputs.length), (await readFile(path)).toString('base64'))
    }
    return found
  }

  async function makeModels(): Promise<void> {
    const [model, plain] = [join(models, 'model'), join(models, 'plain')]
    const golden = join(root, 'packages/testing/fixtures/models/llama-gqa-tied')
    for (const to of [model, plain]) await cp(golden, to, { recursive: true })
    await writeFile(join(model, 'tokenizer.json'), JSON.stringify(charTokenizer.files.tokenizer))
    await writeFile(join(model, 'tokenizer_config.json'), '{"eos_token": "<end>"}')
    await writeFile(join(models, 'data.txt'), 'the sea and the whale and the boat. '.repeat(60))
    const base = await run(['compress', model, '-o', join(models, 'base'), ...compressed])
    if (base.end !== 0) throw new Error(base.err)
  }

  if (other) await cp(other.models, models, { recursive: true })
  else await makeModels()
  await cp(models, kept, { recursive: true })
  return { folder, outputs, run, fresh, contents, restore, models }
}

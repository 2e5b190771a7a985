import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const script = new URL('llama_cpp.py', import.meta.url).pathname

/** What llama.cpp's own inference says of a file; `original` is the perplexity of the original on the same windows. */
export type Score = {
  readonly original: number
  readonly perplexity: number
  /** Nats per token, from the original's predictions. */
  readonly kl: number
  readonly top1: number
}

export interface Protocol {
  readonly python: string
  readonly work: string
  readonly text: string
  readonly calibration: string
  readonly windows: number
  readonly ctx: number
}

/** llama.cpp through `llama_cpp.py`. Whatever it makes or finds stays in the work folder, so that nothing is done twice. */
export function llamaCpp({ python, work, text, calibration, windows, ctx }: Protocol) {
  const call = async (...args: string[]) => (await run(python, [script, ...args])).stdout
  const protocol = ['--windows', String(windows), '--ctx', String(ctx)]

  /** Makes a file under another name first, unless it is there. */
  async function made(name: string, make: (part: string) => Promise<unknown>): Promise<string> {
    const file = join(work, name)
    if (existsSync(file)) return file
    console.error(`making ${name} …`)
    const part = join(work, `part-${name}`)
    await make(part)
    await rename(part, file)
    return file
  }

  return {
    /** Every weight as F16: the original that files are compared with. */
    f16: (source: string) => made('original.gguf', part => call('quantize', source, part, 'F16')),

    imatrix: (model: string) =>
      made('imatrix.npz', part =>
        call('imatrix', model, calibration, part, '--windows', '24', '--ctx', `${ctx}`),
      ),

    quantised: (original: string, type: string, imatrix: string) =>
      made(`${type}.gguf`, part => call('quantize', original, part, type, '--imatrix', imatrix)),

    async score(original: string, file: string): Promise<Score> {
      const { size, mtimeMs } = statSync(file)
      const identity = JSON.stringify({ size, mtimeMs, windows, ctx })
      const kept = `${file}.score.json`
      const known = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : undefined
      if (known?.identity === identity) return known.score
      const reference = await made(`reference-${windows}-${ctx}.npy`, part =>
        call('reference', original, text, part, ...protocol),
      )
      console.error(`scoring ${file} …`)
      const score = JSON.parse(await call('compare', reference, text, file, ...protocol)) as Score
      writeFileSync(kept, JSON.stringify({ identity, score }))
      return score
    },
  }
}

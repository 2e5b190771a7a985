import { ReallmError } from '@reallm/tensor-io'
import { InvalidArgumentError, Option } from 'commander'

/** Bytes of `45MB`, `2GB`, `512MiB` or a plain number. MB = 10⁶, MiB = 2²⁰. */
export function parseSize(text: string): number {
  const found = /^([\d.]+)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB|k|M|G|T)?$/i.exec(text.trim())
  const value = found ? Number(found[1]) : Number.NaN
  if (!found || !(value > 0)) throw new InvalidArgumentError('Give a size like 45MB, 1.5GB or 512MiB.')
  const unit = (found[2] ?? 'B').toUpperCase()
  const power = ['B', 'K', 'M', 'G', 'T'].indexOf(unit[0])
  return Math.round(value * (unit.includes('I') ? 1024 : 1000) ** power)
}

/** A whole number of at least `least`, at most `most`; by default what a number holds exactly. */
export function parseWhole(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
    const isPlain = most === Number.MAX_SAFE_INTEGER && !(value > most)
    throw new InvalidArgumentError(
      `Give a whole number ${isPlain ? `of at least ${least}` : `from ${least} to ${most}`}.`,
    )
  }
}

/** A number between `low` and `high`. */
export function parseNumber(low: number, high: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() === '' || !(value >= low && value <= high)) {
      throw new InvalidArgumentError(`Give a number from ${low} to ${high}.`)
    }
    return value
  }
}

/** A probability: over 0, up to 1. */
export function parseProbability(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 1) return value
  throw new InvalidArgumentError('Give a number over 0, up to 1.')
}

/** Token windows of a `--tokens` file: `[[id, …], …]`. */
export function parseTokens(json: string, file: string): number[][] {
  let rows: unknown
  try {
    rows = JSON.parse(json)
  } catch (cause) {
    throw new ReallmError('bad-file', `${file} is not JSON`, { hint: 'expected [[id, …], …]', cause })
  }
  const isRow = (row: unknown): row is number[] =>
    Array.isArray(row) && row.length > 1 && row.every(id => Number.isInteger(id) && id >= 0)
  if (!Array.isArray(rows) || rows.length === 0 || !rows.every(isRow)) {
    throw new ReallmError('bad-file', `${file} does not hold rows of token ids`, {
      hint: 'expected [[id, …], …], at least two ids a row',
    })
  }
  return rows
}

/** Adds `name=value` to what was given before; the value is JSON, or a text where it is none. */
export function parseVariable(text: string, before: Record<string, unknown> = {}): Record<string, unknown> {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? []
  if (name === undefined)
    throw new InvalidArgumentError('Give name=value, for example enable_thinking=false.')
  try {
    return { ...before, [name]: JSON.parse(value) }
  } catch {
    return { ...before, [name]: value }
  }
}

/** Texts to calibrate on. */
export const calibrationOption = (): Option =>
  new Option(
    '--calib <file>',
    'text of the kind the model is for, or .json rows of token ids; given again: another, with an equal share',
  ).argParser((file: string, before: readonly string[] = []) => [...before, file])

/** What a model runs on. */
export const deviceOption = (): Option =>
  new Option(
    '--device <device>',
    'what it runs on: the CPU (wasm), the GPU (webgpu), or the faster of the two',
  )
    .choices(['auto', 'wasm', 'webgpu'])
    .default('wasm')

/** What computes an evaluation. */
export const evaluationDeviceOption = (): Option =>
  new Option(
    '--device <device>',
    'what computes: wasm (integers of 13 and 16 bits, KL divergence from float32 below 1e-4), webgpu, tfjs (float32, any size), or auto: native tfjs where installed, else wasm where the model fits',
  )
    .choices(['auto', 'wasm', 'webgpu', 'tfjs'])
    .default('auto')

/** Whether results of earlier runs are used, and kept. */
export const cacheOption = (): Option =>
  new Option(
    '--no-cache',
    'measure anew; else results are kept in ~/.cache/reallm (REALLM_CACHE) by digest of the model',
  )

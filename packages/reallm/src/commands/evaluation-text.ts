import type { Evaluation, GenerationCheck, Interval, LayerError } from '@reallm/eval'
import { bytesText, counted } from '@reallm/tensor-io'
import { table } from '../io.ts'

/** All that `reallm eval` found on a text. */
interface Measured extends Omit<Evaluation, 'seconds'> {
  readonly bytes: number
  readonly engine: string
  readonly tokensPerSecond?: number | undefined
  /** Peak of the process, bytes. */
  readonly memory: number
  readonly layers?: readonly LayerError[] | undefined
  readonly generation?: (GenerationCheck & { readonly texts?: readonly string[] | undefined }) | undefined
}

/** Said where figures come from an earlier run. */
export const measuredBefore = 'measured before (--no-cache measures anew)'

/** What was found, for people. */
export function evaluationText(measured: Measured, seconds: number): string {
  const { perplexity, loss, tokens, windows, keptWindows, intervals, kl, top1, top5, bytes } = measured
  const { engine, tokensPerSecond, memory, layers, generation } = measured
  const between = (interval: Interval | undefined, digits: number) =>
    interval ? ` [${interval.map(value => value.toFixed(digits)).join(', ')}]` : ''
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const lines = [
    `perplexity ${perplexity.toFixed(4)}${between(intervals?.perplexity, 2)}, loss ${loss.toFixed(5)} nats over ${counted(tokens, 'token')} in ${counted(windows, 'window')} (${bytesText(bytes)}, ${seconds.toFixed(1)} s)`,
  ]
  if (kl !== undefined) {
    const agreed = `same likeliest token ${percent(top1!)}, among five ${percent(top5!)}`
    lines.push(`KL divergence ${kl.toFixed(5)}${between(intervals?.kl, 5)} nats per token, ${agreed}`)
  }
  const speed = tokensPerSecond === undefined ? '' : `, ${tokensPerSecond.toFixed(0)} tokens/s`
  lines.push(`${engine}${speed}, ${bytesText(memory)} of memory`)
  if (keptWindows > 0) lines.push(`${counted(keptWindows, 'window')} ${measuredBefore}`)
  if (generation) {
    const { prompts, repetition, otherRepetition, agreement, texts } = generation
    const beside = otherRepetition === undefined ? '' : ` (the original ${percent(otherRepetition)})`
    const agreed = agreement === undefined ? '' : `, ${percent(agreement)} as the original before they part`
    lines.push(`${counted(prompts, 'continuation')}: repetition ${percent(repetition)}${beside}${agreed}`)
    for (const text of texts ?? []) lines.push(`  ${JSON.stringify(text)}`)
  }
  const text = `${lines.join('\n')}\n`
  if (!layers) return text
  return text.concat(
    table([
      ['layer', 'own error', 'in all'],
      ...layers.map(({ layer, own, total }) => [String(layer), own.toFixed(5), total.toFixed(5)]),
    ]),
  )
}

import { ReallmError } from '@reallm/tensor-io'

/** A run of tokens of which positions `from` to the last are predicted and scored. */
export interface Window {
  readonly ids: readonly number[]
  readonly from: number
}

/** Ways to cut a text, and the names of those that papers and programs use, with their usual lengths. */
export const protocols = ['half', 'strided', 'full', 'gptq', 'huggingface', 'llama.cpp'] as const
/** The name of a protocol. */
export type ProtocolName = (typeof protocols)[number]

/** What a name stands for. */
const named: Readonly<Partial<Record<ProtocolName, Protocol>>> = {
  gptq: { protocol: 'full', ctx: 2048 },
  huggingface: { protocol: 'strided', ctx: 1024, stride: 512 },
  'llama.cpp': { ctx: 512 },
}

/** How a long text is cut into windows. No BOS is added: what the tokens hold is what the model sees. */
export interface Protocol {
  /**
   * `half` (default): windows side by side, of which the second half is scored, so that every prediction has at
   * least ctx/2 tokens before it. `strided`: windows that overlap, each token scored once with as much before it
   * as the stride allows. `full`: windows side by side, everything after their first token scored.
   * Tokens that don't fill a window at the end are not used, except by `strided`.
   *
   * `gptq` (QuIP#, QTIP, AQLM and ReALLM too) is `full` with 2048 tokens; `huggingface` is `strided` with 1024 and a
   * stride of 512; `llama.cpp` is `half` without the first position of the half, each window's first token replaced by
   * `bos`.
   */
  readonly protocol?: ProtocolName | undefined
  /** For `llama.cpp`: the token that begins texts, of models that want one. */
  readonly bos?: number | undefined
  /** Tokens of a window; default 512, or what the protocol's name stands for. */
  readonly ctx?: number | undefined
  /** Tokens from one strided window to the next; default ctx/2. */
  readonly stride?: number | undefined
  /** Only the first so many windows. */
  readonly windows?: number | undefined
}

/**
 * Tokens of the windows that a protocol cuts a text into.
 *
 * @param positions of each model: windows have no more, unless `ctx` or the protocol's name says so
 */
export const windowLength = ({ protocol = 'half', ctx }: Protocol, ...positions: number[]): number =>
  ctx ?? named[protocol]?.ctx ?? Math.min(512, ...positions)

/**
 * Cuts tokens into windows. A list of rows makes one window of each row, all tokens after its first scored.
 *
 * @throws `bad-option` for an unknown protocol, a window under 2 tokens, or too few tokens for one window
 * @example
 * windowsOf(ids, { ctx: 512, windows: 40 }) // 40 × { ids: 512 tokens, from: 256 }
 */
export function windowsOf(
  tokens: readonly number[] | readonly (readonly number[])[],
  options: Protocol = {},
): Window[] {
  const { protocol: name = 'half', bos, windows: limit } = options
  const preset = named[name] ?? {}
  const protocol = preset.protocol ?? name
  const ctx = windowLength(options)
  const stride = options.stride ?? preset.stride ?? Math.floor(ctx / 2)
  const bad = (what: string, hint?: string) => new ReallmError('bad-option', what, hint ? { hint } : {})
  if (!protocols.includes(name)) throw bad(`unknown protocol ${name}`, `known: ${protocols.join(', ')}`)
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
    throw bad(`windows must be a positive integer, got ${limit}`)
  }
  if (areRows(tokens)) {
    const short = tokens.findIndex(row => row.length < 2)
    if (short >= 0) throw bad(`row ${short} has ${tokens[short].length} tokens, a row needs at least 2`)
    return tokens.slice(0, limit).map(ids => ({ ids, from: 1 }))
  }
  if (!(Number.isInteger(ctx) && ctx >= 2)) throw bad(`ctx must be an integer of 2 or more, got ${ctx}`)
  if (!(Number.isInteger(stride) && stride > 0 && stride < ctx)) {
    throw bad(`stride must be from 1 to ${ctx - 1}, got ${stride}`)
  }
  const windows =
    protocol === 'strided' ? overlapping(tokens, ctx, stride) : adjacent(tokens, ctx, protocol, bos)
  if (tokens.length === 0) {
    throw bad(
      "0 tokens: the text is empty, or the model's tokenizer knows nothing of it",
      'look at it with `reallm tokenize`',
    )
  }
  if (windows.length === 0) {
    throw bad(
      `${tokens.length} tokens do not fill one window of ${ctx}`,
      'give a longer text or a smaller ctx',
    )
  }
  return windows.slice(0, limit)
}

function areRows(
  tokens: readonly number[] | readonly (readonly number[])[],
): tokens is readonly (readonly number[])[] {
  return Array.isArray(tokens[0])
}

function adjacent(tokens: readonly number[], ctx: number, protocol: ProtocolName, bos?: number): Window[] {
  const half = Math.floor(ctx / 2)
  const from = protocol === 'full' ? 1 : protocol === 'half' ? half : half + 1
  return Array.from({ length: Math.floor(tokens.length / ctx) }, (_, i) => {
    const ids = tokens.slice(i * ctx, (i + 1) * ctx)
    return { ids: protocol === 'llama.cpp' && bos !== undefined ? [bos, ...ids.slice(1)] : ids, from }
  })
}

function overlapping(tokens: readonly number[], ctx: number, stride: number): Window[] {
  const windows: Window[] = []
  for (let start = 0, scored = 1; scored < tokens.length; start += stride) {
    const end = Math.min(start + ctx, tokens.length)
    windows.push({ ids: tokens.slice(start, end), from: scored - start })
    scored = end
  }
  return windows
}

import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import { ApiError, asApiError } from '../errors.ts'
import type { Ending, Generator, Piece, Task } from '../generator.ts'
import type { TokenLogprob } from '../logprobs.ts'
import type { Metrics } from '../metrics.ts'
import type { ToolCall } from '../tools/tool-call.ts'
import { ToolCallReader } from '../tools/tool-call-reader.ts'
import { deadline } from './deadline.ts'

/** What the routes work with. */
export interface Service {
  readonly generator: Generator
  readonly metrics: Metrics
  /** What the API calls the model. */
  readonly name: string
  /** Bytes of a request, at most. */
  readonly maxBody: number
  /** Of requests that name none. */
  readonly temperature: number
  /** Seconds that an answer may take, waiting included. */
  readonly timeout: number
  /** Seconds after which a client that takes nothing of a streamed answer is left. */
  readonly patience: number
  /** Fires with an `ApiError` when answers have to end because the server stops. */
  readonly stopped: AbortSignal
  /** Hears of errors that no request caused. */
  readonly onError: (error: unknown) => void
}

/** What is kept with a request. */
export interface Env {
  Bindings: HttpBindings
  Variables: {
    /** Settles when a streamed answer has ended, with the status that it would have had as a whole. */
    streamed: Promise<number>
  }
}

/** A part of one of an answer's texts, or all of it. */
export interface Part {
  readonly index: number
  readonly text: string
  /** Characters of the text before this part. */
  readonly offset: number
  readonly tokens: readonly TokenLogprob[]
  readonly calls: readonly ToolCall[]
  /** Null before the end. */
  readonly finish: 'stop' | 'length' | 'tool_calls' | null
}

/** How a kind of answer is written. */
export interface Form {
  /** Before the choices of a whole answer, and of a part of a streamed one. */
  readonly head: { readonly whole: object; readonly chunk: object }
  whole(part: Part): object
  chunk(part: Part): object
  /** Begins a text in a stream. */
  start?(index: number): object
}

export interface Answer {
  readonly task: Task
  readonly form: Form
  readonly stream: boolean
  readonly includeUsage: boolean
  /** Names of functions that the answer may call. */
  readonly functions: readonly string[]
  /** Functions that are called, at most. */
  readonly mostCalls: number
}

/** Has a task done and writes its answer, as it comes or as a whole. */
export async function answer(c: Context<Env>, service: Service, asked: Answer): Promise<Response> {
  const { generator } = service
  generator.admit(asked.task.prompts.length * asked.task.n)
  const until = deadline(c.req.raw.signal, service.stopped, service.timeout)
  if (!asked.stream) {
    try {
      const parts: Part[] = []
      const endings = await writeTexts(service, asked, until.signal, part => void parts.push(part))
      const choices = endings.map(({ index }) =>
        asked.form.whole(joined(parts.filter(part => part.index === index))),
      )
      return c.json({ ...asked.form.head.whole, choices, usage: usageOf(endings, asked.task.n) })
    } finally {
      until.end()
    }
  }
  return streamSSE(c, async stream => {
    const write = (data: string) => within(service.patience, stream.writeSSE({ data }))
    const send = (data: unknown) => write(JSON.stringify(data))
    const { head, chunk, start } = asked.form
    const usage = asked.includeUsage ? { usage: null } : {}
    const choices = (...some: object[]) => send({ ...head.chunk, choices: some, ...usage })
    const texts = asked.task.prompts.length * asked.task.n
    const work = async () => {
      if (start) for (let index = 0; index < texts; index++) await choices(start(index))
      const endings = await writeTexts(service, asked, until.signal, part => choices(chunk(part)))
      if (asked.includeUsage)
        await send({ ...head.chunk, choices: [], usage: usageOf(endings, asked.task.n) })
      await write('[DONE]')
      return 200
    }
    const streamed = work()
      .catch(async error => {
        const failure = asApiError(error)
        if (failure.status === 500) service.onError(error)
        // a connection whose client takes nothing would stay for ever
        if (failure.reason === unread) c.env.outgoing.destroy()
        else await send(failure.body).catch(() => c.env.outgoing.destroy())
        return failure.status
      })
      .finally(() => until.end())
    c.set('streamed', streamed)
    await streamed
  })
}

const unread = 'client_takes_nothing'

/** Throws an `ApiError` where something is not sent for so many seconds. */
async function within(seconds: number, sent: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new ApiError(499, unread, `the client took nothing for ${seconds} s`)
    timer = setTimeout(() => reject(error), 1000 * seconds)
  })
  await Promise.race([sent, late]).finally(() => clearTimeout(timer))
}

/** Runs a task; `emit` hears of the parts of its texts, the last part of each with how it finished. */
async function writeTexts(
  { generator, metrics }: Service,
  { task, functions, mostCalls }: Answer,
  signal: AbortSignal,
  emit: (part: Part) => void | Promise<void>,
): Promise<readonly Ending[]> {
  const start = performance.now()
  const offsets = new Map<number, number>()
  const readers = new Map<number, ToolCallReader>()
  const readerOf = (index: number): ToolCallReader | undefined => {
    if (functions.length === 0) return undefined
    const reader = readers.get(index) ?? new ToolCallReader(functions)
    readers.set(index, reader)
    return reader
  }
  const tell = async (index: number, text: string, rest: Partial<Part>) => {
    const offset = offsets.get(index) ?? 0
    offsets.set(index, offset + text.length)
    await emit({ index, text, offset, tokens: [], calls: [], finish: null, ...rest })
  }
  const onPiece = async ({ index, text, tokens }: Piece) => {
    if (offsets.size === 0) metrics.firstTextSeconds.observe((performance.now() - start) / 1000)
    const said = readerOf(index)?.push(text) ?? text
    if (said !== '' || tokens.length > 0) await tell(index, said, { tokens })
  }
  const endings = await generator.run(task, signal, onPiece)
  for (const { index, reason, promptTokens, tokens } of endings) {
    metrics.promptTokens.inc(promptTokens)
    metrics.generatedTokens.inc(tokens)
    const { text, calls, isCut } = readerOf(index)?.end(reason !== 'end') ?? {
      ...{ text: '', calls: [], isCut: false },
    }
    const ended = reason === 'end' || reason === 'stop' ? 'stop' : 'length'
    await tell(index, text, {
      calls: calls.slice(0, mostCalls),
      finish: calls.length > 0 && !isCut ? 'tool_calls' : ended,
    })
  }
  return endings
}

/** All of a text, from its parts. */
const joined = (parts: readonly Part[]): Part => ({
  ...parts[parts.length - 1],
  text: parts.map(part => part.text).join(''),
  offset: 0,
  tokens: parts.flatMap(part => part.tokens),
})

function usageOf(endings: readonly Ending[], n: number) {
  const sum = (of: (ending: Ending) => number) => endings.reduce((total, ending) => total + of(ending), 0)
  // texts of one prompt share it
  const prompt_tokens = sum(ending => (ending.index % n === 0 ? ending.promptTokens : 0))
  const completion_tokens = sum(ending => ending.tokens)
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
}

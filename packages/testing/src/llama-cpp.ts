import type { LlamaModel } from 'node-llama-cpp'

/** llama.cpp as a judge of GGUF files. */
export interface LlamaCpp {
  /** Ids of texts, special tokens in them understood. */
  tokenize(path: string, texts: readonly string[]): Promise<number[][]>
  /** Token ids by role, and whether BOS goes before a text. */
  ends(path: string): Promise<{ bos: number | null; eos: number | null; addsBos: boolean }>
  /** Mean cross-entropy of every next token of the rows, all in float32. */
  loss(path: string, rows: readonly (readonly number[])[]): Promise<number>
  /** The tokens that it writes greedily after a prompt, and what it complained of while loading. */
  greedy(
    path: string,
    prompt: readonly number[],
    count: number,
  ): Promise<{ readonly ids: number[]; readonly warnings: string[] }>
  close(): Promise<void>
}

/** Loads llama.cpp through node-llama-cpp; a text that says why where its binary does not run. */
export async function openLlamaCpp(): Promise<LlamaCpp | string> {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp')
  const warnings: string[] = []
  let llama: Awaited<ReturnType<typeof getLlama>>
  try {
    llama = await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      maxThreads: 1,
      logLevel: LlamaLogLevel.warn,
      logger: (_, message) => warnings.push(message),
    })
  } catch (error) {
    return `node-llama-cpp does not run here: ${(error as Error).message}`
  }
  async function using<T>(
    modelPath: string,
    vocabOnly: boolean,
    use: (model: LlamaModel) => T | Promise<T>,
  ): Promise<T> {
    const model = await llama.loadModel({ modelPath, vocabOnly })
    try {
      return await use(model)
    } finally {
      await model.dispose()
    }
  }
  return {
    tokenize: (path, texts) => using(path, true, model => texts.map(text => model.tokenize(text, true))),
    ends: path =>
      using(path, true, ({ tokens }) => ({
        bos: tokens.bos,
        eos: tokens.eos,
        addsBos: tokens.shouldPrependBosToken,
      })),
    loss: (path, rows) => using(path, false, model => lossOf(model, rows)),
    async greedy(path, prompt, count) {
      warnings.length = 0
      const ids = await using(path, false, model => greedyOf(model, prompt, count))
      return { ids, warnings: [...warnings] }
    },
    close: () => llama.dispose(),
  }
}

async function lossOf(model: LlamaModel, rows: readonly (readonly number[])[]): Promise<number> {
  const context = await model.createContext({
    contextSize: 128,
    sequences: rows.length,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  })
  let [sum, count] = [0, 0]
  for (const ids of rows) {
    const results = await context
      .getSequence()
      .controlledEvaluate(ids.map(id => [id as never, { generateNext: { logits: true } }]))
    for (const [i, next] of ids.slice(1).entries()) {
      const logits = results[i]!.next.logits as ReadonlyMap<number, number>
      const values = [...logits.values()]
      const largest = values.reduce((most, logit) => Math.max(most, logit))
      const total = values.reduce((t, logit) => t + Math.exp(logit - largest), 0)
      sum += largest + Math.log(total) - logits.get(next)!
      count++
    }
  }
  return sum / count
}

async function greedyOf(model: LlamaModel, prompt: readonly number[], count: number): Promise<number[]> {
  const context = await model.createContext({ contextSize: 128, flashAttention: false })
  const ids: number[] = []
  const tokens = context.getSequence().evaluate(prompt as never, { temperature: 0 })
  for await (const token of tokens) {
    ids.push(token)
    if (ids.length === count) break
  }
  return ids
}

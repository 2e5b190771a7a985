import { textStream } from '@reallm/tensor-io'
import {
  type BackendName,
  type ChatMessage,
  type GenerateOptions,
  generate,
  generateIds,
  loadWeights,
  type TransformerConfig,
  tf,
  useBackend,
} from '@reallm/transformer'
import { openAny } from './open.ts'

export interface LoadOptions {
  /** Directory of a LoRA, rsLoRA or DoRA adapter in PEFT's layout. */
  readonly adapter?: string
  /** What computes; default: the fastest that is installed. */
  readonly backend?: BackendName
}

/** A conversation that remembers what was said. */
export interface Chat {
  readonly messages: readonly ChatMessage[]
  /** Says something and streams the answer. */
  send(text: string, options?: GenerateOptions): AsyncGenerator<string>
}

/** A model in memory, ready to talk. */
export interface LoadedModel {
  readonly config: TransformerConfig
  /** Streams the text that follows `prompt`, 64 tokens by default. */
  generate(prompt: string, options?: GenerateOptions): AsyncGenerator<string>
  /** Starts a conversation. `send` throws `unsupported` when the model has no chat template. */
  chat(system?: string): Chat
  /** Frees the weights. */
  dispose(): void
}

/**
 * Loads any model, compressed or not, to generate text in Node (pages use `@reallm/runtime`).
 *
 * @param spec anything `openModel` takes: a directory, a GGUF file, an artifact, `hf:`, `npm:`
 * @throws `not-found` when there is no such model, or it has no tokenizer
 * @example
 * const model = await load('npm:@reallm/tiny')
 * for await (const text of model.generate('The whale', { maxTokens: 32 })) process.stdout.write(text)
 */
export async function load(spec: string, options: LoadOptions = {}): Promise<LoadedModel> {
  await useBackend(options.backend)
  const model = await openAny(spec, options.adapter)
  try {
    const { config } = model
    const tokenizer = await model.tokenizer()
    const weights = await loadWeights(model)
    return {
      config,
      generate: (prompt, generation = {}) => generate(config, weights, tokenizer, prompt, generation),
      chat(system) {
        const messages: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }]
        return {
          messages,
          async *send(content, generation = {}) {
            const said = [...messages, { role: 'user', content }]
            const prompt = tokenizer.encode(tokenizer.chat(said))
            const text = textStream(ids => tokenizer.decode(ids), generation.stop)
            const eos = [...new Set([...config.eos, ...tokenizer.eos])]
            let answer = ''
            const emit = (piece: string) => {
              answer += piece
              return piece
            }
            for await (const id of generateIds(config, weights, prompt, {
              maxTokens: 256,
              ...generation,
              eos,
            })) {
              yield emit(text.push(id))
              if (text.stopped) break
            }
            yield emit(text.end())
            messages.push({ role: 'user', content }, { role: 'assistant', content: answer })
          },
        }
      },
      dispose: () => tf.dispose(weights),
    }
  } finally {
    await model.close()
  }
}

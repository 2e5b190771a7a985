import { builtInRegistry } from '@reallm/pipeline'
import {
  type ChatOptions,
  type GenerateTextOptions,
  type Generation,
  load as loadToRun,
  type Model,
  type Chat as RuntimeChat,
  type LoadOptions as RuntimeOptions,
} from '@reallm/runtime'
import { ReallmError } from '@reallm/tensor-io'
import type { TransformerConfig } from '@reallm/tensor-io/models'

/** Options of `load`. */
export interface LoadOptions extends Omit<RuntimeOptions, 'registry' | 'tokenizer'> {
  /** Directory of a LoRA, rsLoRA or DoRA adapter in PEFT's layout. */
  readonly adapter?: string | undefined
}

/** A conversation that remembers what was said. */
export type Chat = Pick<RuntimeChat, 'messages' | 'send' | 'dispose'> & Disposable

/** A model in memory, ready to talk. */
export interface LoadedModel extends Disposable {
  readonly config: TransformerConfig
  /** Streams the text that follows `prompt`, 64 tokens by default. */
  generate(prompt: string, options?: GenerateTextOptions): Generation
  /** Starts a conversation. `send` throws `unsupported` when the model has no chat template. */
  chat(system?: string, options?: ChatOptions): Chat
  /** Puts an adapter beside the weights in place of an earlier one; `undefined` takes it off. */
  useAdapter(directory: string | undefined): Promise<void>
  /** Ends what runs for it. */
  dispose(): void
}

/**
 * Loads any model, compressed or not, to generate text. It runs on `@reallm/runtime`, straight from the codes, with
 * every codec that an artifact can hold.
 *
 * @param spec anything `openModel` takes: a directory, a GGUF file, an artifact, `hf:`, `npm:`
 * @throws `not-found` when there is no such model, or it has no tokenizer
 * @example
 * const model = await load('npm:@reallm/tiny')
 * for await (const text of model.generate('The whale', { maxTokens: 32 })) process.stdout.write(text)
 */
export async function load(spec: string, options: LoadOptions = {}): Promise<LoadedModel> {
  const model = await loadModel(spec, options)
  return {
    config: model.config,
    generate: (prompt, generation = {}) => model.generate(prompt, { maxTokens: 64, ...generation }),
    chat: (system, chat = {}) => model.chat({ ...chat, system }),
    useAdapter: directory => model.useAdapter(directory),
    dispose: () => model.dispose(),
    [Symbol.dispose]: () => model.dispose(),
  }
}

/** The same as the runtime has it. */
export async function loadModel(spec: string, { adapter, ...options }: LoadOptions = {}): Promise<Model> {
  const model = await loadToRun(spec, { ...options, registry: builtInRegistry() })
  try {
    if (!model.tokenizer) {
      throw new ReallmError('not-found', `${spec}: there is no tokenizer.json in it`, {
        hint: 'put that of the original model beside the weights',
      })
    }
    if (adapter !== undefined) await model.useAdapter(adapter)
    return model
  } catch (error) {
    model.dispose()
    throw error
  }
}

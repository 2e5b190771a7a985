import type { ChatMessage } from '@reallm/tensor-io/models'

/** What a conversation begins with: what the model is told before it, and one to go on with. */
export const beginning = (
  system: string | undefined,
  messages: readonly ChatMessage[] = [],
): ChatMessage[] => [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...messages]

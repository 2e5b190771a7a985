export { type ChatMessage, openTokenizer, type TextTokenizer } from '../../transformer/src/tokenizer.ts'

import { fileURLToPath } from 'node:url'

/**
 * Path of a folder or file in `fixtures`: `models/<name>` are small models of each family with their logits and gradients in
 * Hugging Face transformers, `peft/<name>` adapters with what PEFT computes.
 */
export const fixture = (path: string): string =>
  fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url))

import { smollm2Ggufs } from './gguf-files.ts'
import type { View } from './table.ts'

const recipes = (quality: 'perplexity' | 'ratio') => [
  ...['recipe', 'asked', 'bytes', 'bitsPerWeight', quality, 'kl', 'top1', 'cpuSeconds', 'peakMemory'],
]
const sizes = /^(70|62|56|45) MB$|^(67|50|34) MB, `fast`$/

/** Tables that show a part of a results file. A page that names a file itself gets all of it. */
export const views: Readonly<Record<string, View>> = {
  'prompts-same': { from: 'prompts', columns: ['prompt', 'same', 'words'] },
  quality: { from: 'quality', and: smollm2Ggufs },
  readme: {
    from: 'quality',
    and: smollm2Ggufs,
    columns: ['program', 'name', 'bytes', 'perplexity', 'ratio', 'kl'],
    where: ({ name }) => /^(Q4_K_M|Q3_K_M|Q2_K|IQ2_M|(70|62|56|45) MB)$/.test(String(name)),
    falling: 'bytes',
    brief: true,
  },
  'quality-sizes': {
    from: 'quality',
    columns: ['name', 'bitsPerWeight', 'perplexity', 'ratio', 'kl'],
    where: ({ name }) => sizes.test(String(name)),
    falling: 'bytes',
    brief: true,
  },
  'gguf-smollm2': {
    from: 'quality',
    and: smollm2Ggufs,
    columns: ['program', 'name', 'bytes', 'perplexity', 'kl', 'top1'],
    where: ({ program }) => program === 'reallm, GGUF' || program === 'llama.cpp',
    falling: 'bytes',
  },
  'gguf-wide': {
    from: 'gguf-target',
    columns: ['made', 'name', 'bytes', 'kl', 'top1'],
    where: ({ model }) => !String(model).startsWith('SmolLM2'),
    falling: 'bytes',
  },
  'sequential-kl': { from: 'sequential', columns: ['bits', 'order', 'workers', 'kl', 'cpu'] },
  'feedback-kl': { from: 'feedback', columns: ['what', 'kl'] },
  'gguf-ablation-kl': { from: 'gguf-ablation', columns: ['model', 'asked', 'how', 'bitsPerWeight', 'kl'] },
  'onnx-kl': {
    from: 'onnx-target',
    columns: ['model', 'made', 'bytes', 'kl', 'top1', 'effort', 'cpuSeconds'],
  },
  'runtime-short': {
    from: 'runtime',
    columns: ['contender', 'prompt', 'decode', 'memory', 'file'],
    where: ({ contender, length, prompt }) =>
      length === 128 && prompt !== undefined && !String(contender).includes('Chromium'),
    brief: true,
  },
  'browser-short': { from: 'browser', columns: ['contender', 'prompt', 'decode', 'file'], brief: true },
  'quality-tuned': {
    from: 'quality',
    columns: ['name', 'bytes', 'perplexity', 'ratio'],
    where: ({ name }) => /float32|^42 MB|tuned/.test(String(name)),
  },
  'quality-tuned-short': {
    from: 'quality',
    columns: ['name', 'bytes', 'perplexity', 'ratio'],
    where: ({ name }) => /^42 MB|tuned/.test(String(name)),
    brief: true,
  },
  'recipes-tiny-short': {
    from: 'recipes',
    columns: ['recipe', 'perplexity', 'kl', 'top1', 'cpuSeconds'],
    where: ({ model, recipe, asked }) => model === 'tiny' && (asked === '3 bits' || recipe === 'original'),
    brief: true,
  },
  'recipes-tiny': { from: 'recipes', columns: recipes('perplexity'), where: ({ model }) => model === 'tiny' },
  'recipes-smollm2': { from: 'recipes', columns: recipes('ratio'), where: ({ model }) => model !== 'tiny' },
  'autoencoder-rates': {
    from: 'autoencoder',
    columns: ['matrix', 'what', 'bits', 'db', 'best', 'gain', 'other'],
    where: ({ what }) => String(what).startsWith('autoencoder'),
  },
  'decoders-shared': {
    from: 'decoders',
    columns: ['kind', 'decoder', 'bits', 'error', 'changeFirst', 'changeOthers'],
    where: ({ space, decoder, rates }) =>
      space === 'rotated' &&
      (decoder === 'lattice of 8 weights' ||
        (rates === 'by cost' && /^(fixed table|table of the kind)$/.test(String(decoder)))),
  },
  'neural-trellis': {
    from: 'autoencoder',
    where: ({ what }) => String(what).includes('network trellis'),
  },
}

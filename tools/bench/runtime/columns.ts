/** Columns of benches that compare contenders. */
export const speedColumns = {
  contender: { label: 'contender' },
  length: { label: 'prompt tokens' },
  prompt: { label: 'prompt, tokens/s', unit: 'tokens per second', precision: 3 },
  decode: { label: 'decode, tokens/s', unit: 'tokens per second', precision: 3 },
  promptCpu: { label: 'prompt, per CPU s', unit: 'tokens per CPU second', precision: 3 },
  decodeCpu: { label: 'decode, per CPU s', unit: 'tokens per CPU second', precision: 3 },
  file: { label: 'file, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
}

/** Of the embedded model in its original form, the files that the site serves: what the runtime reads. */
export const originalFiles = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
]

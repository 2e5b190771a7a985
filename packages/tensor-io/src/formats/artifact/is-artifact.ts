/** Whether a `config.json` is that of an artifact of this project. */
export const isArtifact = (config: Readonly<Record<string, unknown>>): boolean =>
  (config.quantization_config as { quant_method?: unknown } | null | undefined)?.quant_method === 'reallm'

import { gguf, withFeedback } from '@reallm/vq'
import { type Configuration, configuration } from '../configuration.ts'

const ggufWithFeedback = withFeedback(gguf)

/** From small to large. Q4_0, which IQ4_NL beats at its size, and types of less than two bits are left out. */
const types = [
  ...['IQ2_XXS', 'Q2_0', 'IQ2_XS', 'IQ2_S', 'Q2_K', 'IQ3_XXS', 'IQ3_S', 'Q3_K'],
  ...['IQ4_XS', 'MXFP4', 'IQ4_NL', 'Q4_K', 'Q4_1', 'Q5_0', 'Q5_K', 'Q5_1', 'Q6_K', 'Q8_0'],
]

/** GGUF's block types; a matrix gets one of those that its width allows. */
export const ggufTypes = (): Configuration[] =>
  types.map(type =>
    configuration({
      id: `gguf-${type}`,
      label: type,
      codec: ggufWithFeedback,
      params: { type },
    }),
  )

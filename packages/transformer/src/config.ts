export {
  type Activation,
  activations,
  allTensors,
  blockTensors,
  familyOf,
  type LinearModule,
  linearModules,
  outerTensors,
  parseConfig,
  type TransformerConfig,
  tokenIds,
} from '@reallm/tensor-io/decoder'

export { charTokenizer } from './char-tokenizer.ts'
export { fixture } from './fixture.ts'
export {
  goldenConfig,
  goldenModels,
  goldenModelsInGguf,
  goldenTests,
} from './golden-models.ts'
export { type LlamaCpp, openLlamaCpp } from './llama-cpp.ts'
export { type RandomModelOptions, writeRandomModel } from './random-model.ts'
export { correlatedHessian, decaying, distance, normals } from './synthetic.ts'
export { coarse, type ToyOptions, writeToyModels } from './toy-model.ts'
export {
  type ByteLevelOptions,
  byteLevelTokenizer,
  prependsSpace,
  replacesSpaces,
  type SentencePieceOptions,
  sentencePieceTokenizer,
} from './toy-tokenizers.ts'

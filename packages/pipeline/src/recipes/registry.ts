import { autoencoder, implicit } from '@reallm/autoencoder'
import { onebit, rowScaled } from '@reallm/finetune'
import {
  lowRankResidual,
  lowrank,
  lplrCodec,
  lr2vq,
  monarchCodec,
  monarchResidual,
  prunedCodec,
  romCodec,
  ternaryCodec,
} from '@reallm/lowrank'
import { createRegistry, type MatrixCodec, type Registry } from '@reallm/tensor-io'
import { transforms, codecs as vectorCodecs } from '@reallm/vq'

/** Every codec that an artifact may hold. */
const codecs = [
  ...vectorCodecs,
  ...[lowrank, lplrCodec, lr2vq, monarchCodec, prunedCodec, romCodec, ternaryCodec],
  ...[autoencoder, implicit, onebit],
] as readonly MatrixCodec[]

let made: Registry | undefined

/** Every codec and wrapper of this project: reads every artifact. */
export const builtInRegistry = (): Registry =>
  (made ??= createRegistry(codecs, [...transforms, lowRankResidual, monarchResidual, rowScaled]))

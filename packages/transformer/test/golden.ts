import { readFile } from 'node:fs/promises'
import { openFileSource, openSafetensors } from '@reallm/tensor-io'
import { openWeights, parseConfig, type TransformerConfig } from '@reallm/tensor-io/models'
import { fixture, goldenConfig } from '@reallm/testing'
import { type TfTensor, tf } from '../src/tf.ts'
import { loadWeights } from '../src/weights.ts'

export const readJson = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'))

/** All tensors of a safetensors file, as tfjs tensors of the backend in use. */
export async function readTensors(path: string): Promise<Record<string, TfTensor>> {
  const file = await openSafetensors(await openFileSource(fixture(path)))
  const tensors: Record<string, TfTensor> = {}
  for (const [name, { shape }] of file.tensors) {
    tensors[name] = tf.tensor((await file.readFloat32(name)).data, [...shape])
  }
  await file.close()
  return tensors
}

export interface GoldenModel {
  readonly config: TransformerConfig
  readonly weights: Record<string, TfTensor>
  readonly ids: number[][]
  readonly expected: Record<string, TfTensor>
  readonly gradients: Record<string, TfTensor>
  readonly loss: number
  /** Eight ids and eight that follow them, each the likeliest; not of every model. */
  readonly greedy: number[] | undefined
}

export async function goldenModel(name: string): Promise<GoldenModel> {
  const folder = `models/${name}`
  const { loss, greedy } = await readJson(`${folder}/expected.json`)
  return {
    config: goldenConfig(name, await parseConfig(await readJson(`${folder}/config.json`))),
    weights: await readWeights(folder),
    ids: await readJson(`${folder}/tokens.json`),
    expected: await readTensors(`${folder}/expected.safetensors`),
    gradients: await readTensors(`${folder}/expected_grad.safetensors`),
    loss,
    greedy,
  }
}

async function readWeights(folder: string): Promise<Record<string, TfTensor>> {
  const model = await openWeights(fixture(folder))
  const weights = await loadWeights(model)
  await model.close()
  return weights
}

/** Largest absolute difference. */
export const distance = (a: TfTensor, b: TfTensor): number =>
  tf.tidy(() => a.sub(b).abs().max().dataSync()[0])

/** ‖a − b‖ / ‖b‖. */
export const relativeError = (a: TfTensor, b: TfTensor): number =>
  tf.tidy(() => tf.norm(a.sub(b)).div(tf.norm(b)).dataSync()[0])

import '@tensorflow/tfjs-backend-webgpu'
import { builtInRegistry } from '@reallm/pipeline'
import { openModel } from '@reallm/tensor-io'
import { loadWeights, nextTokenLoss, openWeights, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { tuneTiny } from './tune-tiny.ts'

const at = (path: string) => new URL(path, location.href).href

async function tensorsAt(path: string): Promise<Record<string, TfTensor>> {
  const file = await openModel(at(path))
  const tensors: Record<string, TfTensor> = {}
  for (const [name, { shape }] of file.tensors) {
    tensors[name] = tf.tensor((await file.readFloat32(name)).data, [...shape])
  }
  await file.close()
  return tensors
}

/** ‖got − wanted‖ / ‖wanted‖ */
async function relativeError(got: TfTensor, wanted: TfTensor): Promise<number> {
  const norms = tf.tidy(() => tf.stack([got.sub(wanted).norm(), wanted.norm()]))
  const [difference, norm] = await norms.data()
  norms.dispose()
  return difference / norm
}

/** Loss and gradients of a golden model, and how far they are from PyTorch's; tensors that stay behind. */
async function gradients(name: string) {
  const before = tf.memory().numTensors
  const model = await openWeights(
    await openModel(at(`models/${name}/`), { files: ['config.json', 'model.safetensors'] }),
  )
  const weights = await loadWeights(model)
  const wanted = await tensorsAt(`models/${name}/expected_grad.safetensors`)
  const [tokens, { loss }] = await Promise.all(
    ['tokens.json', 'expected.json'].map(async file => (await fetch(at(`models/${name}/${file}`))).json()),
  )
  const ids = tf.tensor2d(tokens, undefined, 'int32')
  const names = Object.keys(wanted)
  const { value, grads } = tf.valueAndGrads((...trained: TfTensor[]) => {
    const all = { ...weights, ...Object.fromEntries(trained.map((w, i) => [names[i], w])) }
    return nextTokenLoss(model.config, all, ids)
  })(names.map(n => weights[n]))
  const [got] = await value.data()
  const errors: number[] = []
  for (const [i, n] of names.entries()) errors.push(await relativeError(grads[i], wanted[n]))
  tf.dispose([weights, wanted, ids, value, grads])
  await model.close()
  return { loss: got - loss, errors, left: tf.memory().numTensors - before }
}

/** 1 + 2 + … + n, as so many tensors. */
async function sumTo(n: number): Promise<number> {
  const sum = tf.tidy(() => tf.addN(Array.from({ length: n }, (_, i) => tf.scalar(i + 1))))
  const [value] = await sum.data()
  sum.dispose()
  return value
}

/** Runs inside a page: TensorFlow.js on WebGPU. */
export async function run(models: readonly string[]) {
  await useBackend('webgpu')
  const sums = []
  for (const n of [1, 7, 8, 99]) sums.push(await sumTo(n))
  const found = []
  for (const model of models) found.push(await gradients(model))
  const registry = builtInRegistry()
  const [student, teacher] = await Promise.all(
    ['compressed/', 'tiny/'].map(async folder => openWeights(await openModel(at(folder), { registry }))),
  )
  const losses = await tuneTiny(student, teacher, await (await fetch(at('tiny/held-out.txt'))).text())
  return { backend: tf.getBackend(), found, losses, sums }
}

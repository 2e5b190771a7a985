import { type EncodedMatrix, type Matrix, ReallmError, type StorageCost } from '@reallm/tensor-io'

/** Throws `bad-tensor` naming the first weight that is no number. */
export function checkWeights(w: Matrix): void {
  const broken = w.data.findIndex(x => !Number.isFinite(x))
  if (broken < 0) return
  const place = `row ${Math.floor(broken / w.cols)}, column ${broken % w.cols}`
  throw new ReallmError('bad-tensor', `[${w.rows}×${w.cols}]: the weight in ${place} is ${w.data[broken]}`, {
    hint: 'the model file is damaged or was trained into overflow; use another one',
  })
}

/** The values of a stored part; throws `bad-tensor` when it is missing or has another size than it must have. */
export function storedPart(e: EncodedMatrix, name: string, cost: StorageCost) {
  const part = e.parts[name]
  const wanted = cost[name]
  if (part?.dtype !== wanted.dtype || part.data.length !== wanted.shape[0]) {
    throw new ReallmError(
      'bad-tensor',
      `${e.codec} [${e.shape.join('×')}]: part ${name} is missing or of wrong size`,
      {
        hint: 'the file was altered; compress the model again',
      },
    )
  }
  return part.data
}

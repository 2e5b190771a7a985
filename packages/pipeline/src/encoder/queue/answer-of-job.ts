import { deserialize, serialize } from 'node:v8'
import { outputError } from '@reallm/kernels'
import { bitsOf, type EncodedMatrix, ReallmError } from '@reallm/tensor-io'
import * as z from 'zod'
import { builtInRecipe } from '../../recipes/recipes.ts'
import { type Answer, resultsOf } from '../answer.ts'
import { configurationOf, type EncodeJob } from '../encode-job.ts'
import type { EncodeResult } from '../encode-matrix.ts'

/** What travels of a result: the decoded matrix is made anew from the encoded one. */
type Sent = Omit<EncodeResult, 'decoded'>

/** The bytes of an answer. */
export function answerBytes(answer: Answer): Uint8Array {
  if (!('results' in answer)) return serialize(answer)
  const results: Sent[] = answer.results.map(({ decoded: _, ...rest }) => rest)
  return serialize({ results })
}

const number = z.number().nonnegative()
const sentSchema = z.object({
  encoded: z.custom<EncodedMatrix>(value => typeof value === 'object' && value !== null),
  error: number,
  errorWithoutFeedback: number.optional(),
  plainError: number,
  norms: z.object({ outputs: number, weights: number }).optional(),
  seconds: number,
})
const answerSchema = z.union([
  z.object({ results: z.array(sentSchema) }),
  z.object({
    error: z.object({
      code: z.string().optional(),
      message: z.string(),
      hint: z.string().optional(),
      stack: z.string().optional(),
    }),
  }),
])

/**
 * The results that another machine sends for a job. Each matrix is decoded here, has the parts of its configuration, and
 * loses as much as is said.
 *
 * @param name what errors call the answer
 * @throws `integrity` for anything that no encoder would answer; else the error that the job met there
 */
export function resultsFrom(name: string, bytes: Uint8Array, job: EncodeJob): EncodeResult[] {
  const answer = parse(name, bytes)
  if (!('results' in answer)) return resultsOf(answer as Answer)
  if (answer.results.length !== job.configurations.length) {
    throw notAnAnswer(name, `it has ${answer.results.length} matrices`)
  }
  return answer.results.map((sent, i) => withDecoded(name, sent, job, i))
}

function parse(name: string, bytes: Uint8Array): z.infer<typeof answerSchema> {
  let value: unknown
  try {
    value = deserialize(bytes)
  } catch (cause) {
    throw notAnAnswer(name, (cause as Error).message)
  }
  const parsed = answerSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw notAnAnswer(name, z.prettifyError(parsed.error).split('\n')[0])
}

function withDecoded(name: string, sent: Sent, job: EncodeJob, i: number): EncodeResult {
  const configuration = configurationOf(builtInRecipe(job.recipe), job, job.configurations[i])
  const { w, crossCovariance, wantedOutputs } = job
  try {
    const decoded = configuration.decode(sent.encoded)
    const bits = bitsOf(configuration.cost([w.rows, w.cols]))
    if (decoded.rows !== w.rows || decoded.cols !== w.cols) throw new Error('its shape is another one')
    if (bitsOf(sent.encoded) !== bits)
      throw new Error(`it does not have the ${bits} bits of its configuration`)
    // with a target of its own, the error is not one of the weights
    const own = crossCovariance ?? wantedOutputs
    if (!own && Math.abs(outputError(w, decoded) - sent.plainError) > 1e-3 * sent.plainError + 1e-9) {
      throw new Error('its error is not the one that is said')
    }
    return { ...sent, decoded }
  } catch (cause) {
    const foreign = cause instanceof TypeError || cause instanceof RangeError
    const why = foreign ? 'it is not a stored matrix' : (cause as Error).message
    throw notAnAnswer(name, `${configuration.label}: ${why}`)
  }
}

const notAnAnswer = (name: string, why: string) =>
  new ReallmError('integrity', `${name} is no answer to its job: ${why}`, {
    hint: 'does the worker run the same version?',
  })

import type { HonoRequest } from 'hono'
import type * as z from 'zod'
import { ApiError } from '../errors.ts'
import { notSupported } from './fields.ts'

/** Values within values: code that recurses has room for so many. */
const mostLevels = 256

/** The JSON of a request of at most `most` bytes, as a schema has it. Throws an `ApiError` that names the field that is wrong. */
export async function readBody<T extends z.ZodType>(
  request: HonoRequest,
  schema: T,
  most: number,
): Promise<z.infer<T>> {
  // of other types browsers send to other sites without asking them
  if (!/^application\/json *(;|$)/i.test(request.header('content-type') ?? '')) {
    throw new ApiError(415, 'unsupported_media_type', 'the request has to be of type application/json')
  }
  const json = jsonOf(await bytesOf(request, most))
  if (isDeeperThan(mostLevels, json))
    throw new ApiError(400, 'invalid_value', 'the request is nested too deeply')
  const { data, error } = schema.safeParse(json)
  if (!error) return data as z.infer<T>
  const [{ path, message, code, ...issue }] = error.issues
  const keys = code === 'unrecognized_keys' && 'keys' in issue ? issue.keys.slice(0, 1) : []
  const param = [...path, ...keys].join('.')
  const what = keys.length > 0 ? notSupported : message
  throw new ApiError(
    400,
    what === notSupported ? 'unsupported_parameter' : 'invalid_value',
    `${param || 'the request'}: ${what}`,
    {
      param: param || undefined,
    },
  )
}

async function bytesOf(request: HonoRequest, most: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = Number(request.header('content-length') ?? 0)
  // a reader that is left open lets the answer out, which a loop over the body would not
  const reader = request.raw.body?.getReader()
  for (let read = 0; reader && size <= most; size = Math.max(size, read)) {
    const { done, value } = await reader.read().catch(cause => {
      throw new ApiError(499, 'client_left', 'the client left before the end of its request', { cause })
    })
    if (done) return Buffer.concat(parts)
    parts.push(value)
    read += value.length
  }
  if (!reader) return Buffer.alloc(0)
  throw new ApiError(413, 'request_too_large', `the request has more than ${most} bytes`)
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new ApiError(400, 'invalid_json', 'the request is no JSON', { cause })
  }
}

function isDeeperThan(most: number, value: unknown): boolean {
  let level = [value]
  for (let depth = 0; depth <= most && level.length > 0; depth++) {
    level = level.flatMap(each => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return level.length > 0
}

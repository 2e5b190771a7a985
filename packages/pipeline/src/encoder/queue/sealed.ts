import { createHash } from 'node:crypto'
import { ReallmError } from '@reallm/tensor-io'

const digestLength = 32

/** The name of the answer to a job's file. */
export const answerName = (job: string): string => `${job}.answer`

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Throws `integrity` when a job's file is not the one that was sent. */
export function requireDigest(name: string, bytes: Uint8Array, digest: string): void {
  if (digestOf(bytes) !== digest) throw altered(name)
}

/** An answer's contents with a SHA-256 in front, which also covers what they belong to: the digest of a job. */
export function sealed(bytes: Uint8Array, belongsTo: string): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(digestLength + bytes.length)
  file.set(seal(bytes, belongsTo))
  file.set(bytes, digestLength)
  return file
}

/** The contents of a sealed answer; throws `integrity` when they are not what was sealed. */
export function unsealed(name: string, file: Uint8Array, belongsTo: string): Uint8Array {
  const bytes = file.subarray(digestLength)
  if (seal(bytes, belongsTo).equals(file.subarray(0, digestLength))) return bytes
  throw altered(name)
}

const altered = (name: string) =>
  new ReallmError('integrity', `${name} was altered: its SHA-256 is another one`, {
    hint: 'check the disk and the network of the shared directory',
  })

const seal = (bytes: Uint8Array, belongsTo: string): Buffer =>
  createHash('sha256').update(belongsTo).update(bytes).digest()

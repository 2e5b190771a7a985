import { ReallmError } from '@reallm/tensor-io'
import type { SharedFiles } from './shared-files.ts'

/**
 * Objects below `s3://bucket/prefix`, on any S3-compatible store: region, credentials and `AWS_ENDPOINT_URL` come from the
 * environment, as for Amazon's own tools.
 *
 * @throws `unsupported` without `@aws-sdk/client-s3`, `bad-option` for an address without a bucket
 */
export async function s3Files(where: string): Promise<SharedFiles> {
  const { S3Client, ...commands } = await import('@aws-sdk/client-s3').catch(cause => {
    throw new ReallmError('unsupported', `${where}: @aws-sdk/client-s3 is not installed`, {
      hint: 'npm install @aws-sdk/client-s3',
      cause,
    })
  })
  const [, Bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(where) ?? []
  if (Bucket === undefined) {
    throw new ReallmError('bad-option', `${where}: it names no bucket`, { hint: 's3://bucket/prefix' })
  }
  const client = new S3Client({
    // other stores than Amazon's know buckets by path, and not all know its newer checksums; contents are sealed anyway
    forcePathStyle:
      process.env.AWS_ENDPOINT_URL !== undefined || process.env.AWS_ENDPOINT_URL_S3 !== undefined,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const at = (name: string) => ({ Bucket, Key: prefix ? `${prefix}/${name}` : name })

  /** What the store answers; undefined when it has no such object. */
  async function ask<T>(name: string, request: Promise<T>): Promise<T | undefined> {
    try {
      return await request
    } catch (cause) {
      const error = cause as Error & { $metadata?: { httpStatusCode?: number } }
      if (['NoSuchKey', 'NotFound'].includes(error.name)) return undefined
      throw new ReallmError(
        'io',
        `${where}/${name}: the store refused it (${error.name}: ${error.message})`,
        {
          hint: 'look at AWS_ENDPOINT_URL, AWS_REGION, the credentials, and whether the bucket is there',
          cause,
        },
      )
    }
  }
  return {
    async write(name, contents) {
      await ask(name, client.send(new commands.PutObjectCommand({ ...at(name), Body: contents })))
    },
    async read(name) {
      const found = await ask(name, client.send(new commands.GetObjectCommand(at(name))))
      return found?.Body && ask(name, found.Body.transformToByteArray())
    },
    has: async name => (await ask(name, client.send(new commands.HeadObjectCommand(at(name))))) !== undefined,
    async remove(name) {
      await ask(name, client.send(new commands.DeleteObjectCommand(at(name))))
    },
    close: () => client.destroy(),
  }
}

import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { fileError } from '../source/file-error.ts'
import { openFileSource } from '../source/file-source.ts'
import { nodeModule } from '../source/node.ts'
import { sha256 } from './verify.ts'

/** The file that holds the SHA-256 of all other files of a model and an Ed25519 signature of these. */
export const signatureName = 'reallm-signature.json'

/**
 * Signs files of a directory: writes `reallm-signature.json` beside them. In Node only.
 *
 * @param names of the files: all that the model is made of
 * @param privateKey Ed25519, PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it
 * @throws `bad-option` for what is no such key
 */
export async function signDirectory(
  dir: string,
  names: readonly string[],
  privateKey: string,
): Promise<void> {
  const key = await imported('PRIVATE KEY', privateKey)
  const files: Record<string, string> = {}
  for (const name of [...names].sort()) {
    const source = await openFileSource(nodeModule('path').join(dir, name))
    files[name] = await sha256(source).finally(() => source.close())
  }
  const signature = await crypto.subtle.sign('Ed25519', key, signedBytes(Object.entries(files)))
  const text = `${JSON.stringify({ algorithm: 'Ed25519', files, signature: base64(signature) }, null, 2)}\n`
  const path = nodeModule('path').join(dir, signatureName)
  await nodeModule('fs/promises')
    .writeFile(path, text)
    .catch((cause: unknown) => {
      throw fileError(cause, path, 'write')
    })
}

/**
 * The SHA-256 of each signed file, from the contents of `reallm-signature.json`.
 *
 * @param publicKey Ed25519, SubjectPublicKeyInfo in PEM or its base64 alone
 * @throws `integrity` for a signature of another key or of other files, `bad-option` for what is no key
 */
export async function readSignature(
  where: string,
  contents: Uint8Array<ArrayBuffer>,
  publicKey: string,
): Promise<ReadonlyMap<string, string>> {
  const key = await imported('PUBLIC KEY', publicKey)
  const { files, signature } = parseJson(`${where}: ${signatureName}`, contents)
  const listed = Object.entries(Object(files) as Record<string, unknown>)
  const isListed = (entry: [string, unknown]): entry is [string, string] =>
    !entry[0].includes('\n') && typeof entry[1] === 'string' && /^[0-9a-f]{64}$/.test(entry[1])
  const bytes = typeof signature === 'string' ? bytesOf(signature) : undefined
  if (listed.length > 0 && listed.every(isListed) && bytes?.length === 64) {
    if (await crypto.subtle.verify('Ed25519', key, bytes, signedBytes(listed))) return new Map(listed)
  }
  throw new ReallmError('integrity', `${where}: it was not signed with the private key of this public key`, {
    hint: 'download it again, or ask its author for the key',
  })
}

/** What is signed: a line for each file, as `sha256sum` writes it, after one that says what it is. */
function signedBytes(files: readonly (readonly [name: string, sha256: string])[]): Uint8Array<ArrayBuffer> {
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = sorted.map(([name, digest]) => `${digest}  ${name}\n`)
  return new TextEncoder().encode(`reallm signature 1\n${lines.join('')}`)
}

async function imported(kind: 'PRIVATE KEY' | 'PUBLIC KEY', text: string): Promise<CryptoKey> {
  const [format, use] = kind === 'PRIVATE KEY' ? (['pkcs8', 'sign'] as const) : (['spki', 'verify'] as const)
  const pem = new RegExp(`-----BEGIN ${kind}-----([\\s\\S]*?)-----END ${kind}-----`).exec(text)
  try {
    return await crypto.subtle.importKey(format, bytesOf(pem?.[1] ?? text)!, 'Ed25519', false, [use])
  } catch (cause) {
    throw new ReallmError('bad-option', `that is no ${kind.toLowerCase()} of Ed25519 in PEM`, {
      hint:
        kind === 'PRIVATE KEY'
          ? 'make one: openssl genpkey -algorithm ed25519 -out key.pem'
          : 'take that of the private key: openssl pkey -in key.pem -pubout -out key.pub.pem',
      cause,
    })
  }
}

const base64 = (bytes: ArrayBuffer): string => btoa(String.fromCharCode(...new Uint8Array(bytes)))

/** Bytes of base64, line breaks allowed; undefined for other texts. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text.replaceAll(/\s/g, '')), character => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

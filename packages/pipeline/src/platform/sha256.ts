import { sha256 as noble } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

/** SHA-256 of bytes that come in pieces, called as Node's `createHash('sha256')` is: WebCrypto wants all at once. */
export function sha256() {
  const state = noble.create()
  const hash = {
    update(data: string | ArrayBufferView) {
      state.update(
        typeof data === 'string'
          ? utf8ToBytes(data)
          : new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      )
      return hash
    },
    digest: (_encoding: 'hex'): string => bytesToHex(state.digest()),
  }
  return hash
}

const primes = (function* () {
  for (let n = 2; ; n++) {
    let prime = true
    for (let d = 2; d * d <= n; d++) prime &&= n % d !== 0
    if (prime) yield n
  }
})()
const fraction = (x: number) => ((x % 1) * 2 ** 32) | 0
const first64 = Array.from({ length: 64 }, () => primes.next().value as number)
const constants = Int32Array.from(first64, p => fraction(Math.cbrt(p)))
const initial = Int32Array.from(first64.slice(0, 8), p => fraction(Math.sqrt(p)))

const rotated = (x: number, by: number) => (x >>> by) | (x << (32 - by))

/** SHA-256 of bytes that come in pieces: WebCrypto's wants all at once. */
export function sha256() {
  const state = initial.slice()
  const block = new Uint8Array(64)
  const view = new DataView(block.buffer)
  const w = new Int32Array(64)
  let length = 0

  function compress(): void {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(4 * i)
    for (let i = 16; i < 64; i++) {
      const [a, b] = [w[i - 15], w[i - 2]]
      const s0 = rotated(a, 7) ^ rotated(a, 18) ^ (a >>> 3)
      const s1 = rotated(b, 17) ^ rotated(b, 19) ^ (b >>> 10)
      w[i] = w[i - 16] + s0 + w[i - 7] + s1
    }
    let [a, b, c, d, e, f, g, h] = state
    for (let i = 0; i < 64; i++) {
      const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + w[i]) | 0
      const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    for (const [i, v] of [a, b, c, d, e, f, g, h].entries()) state[i] += v
  }

  const hash = {
    update(data: string | ArrayBufferView) {
      const bytes =
        typeof data === 'string'
          ? new TextEncoder().encode(data)
          : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      for (let at = 0; at < bytes.length; ) {
        const piece = bytes.subarray(at, at + 64 - (length % 64))
        block.set(piece, length % 64)
        length += piece.length
        at += piece.length
        if (length % 64 === 0) compress()
      }
      return hash
    },
    digest(_encoding: 'hex'): string {
      const bits = 8 * length
      hash.update(Uint8Array.of(0x80))
      while (length % 64 !== 56) hash.update(new Uint8Array(1))
      view.setUint32(56, Math.floor(bits / 2 ** 32))
      view.setUint32(60, bits)
      compress()
      return Array.from(state, word => (word >>> 0).toString(16).padStart(8, '0')).join('')
    },
  }
  return hash
}

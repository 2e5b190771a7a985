import fc from 'fast-check'

/** Values that a file may hold where another was expected. */
const odd = fc.oneof(
  fc.constantFrom(
    ...[null, true, '', 'a', '\u0000', '(', '(a+)+$', '__proto__', 0, -1, 0.5, 2 ** 31, 2 ** 53, 1e308],
    ...[[], {}, [[]], [null], { type: 'Sequence' }, 'constructor', '{{', '😀'],
  ),
  fc.integer(),
  fc.string({ maxLength: 8 }),
)
const place = fc.nat(1 << 24)

/** What happens to a file of JSON: values become others, or go. */
export const jsonDamage = fc.array(fc.record({ place, value: fc.option(odd, { nil: undefined }) }), {
  minLength: 1,
  maxLength: 4,
})

/** A copy of a JSON value with the damage done. */
export function damagedJson(
  json: object,
  damage: readonly { readonly place: number; readonly value?: unknown }[],
): Record<string, unknown> {
  const copy = structuredClone(json) as Record<string, unknown>
  for (const { place, value } of damage) {
    let at = copy as Record<string, unknown>
    let left = place
    for (;;) {
      const keys = Object.keys(at)
      const key = keys[left % keys.length]
      left = Math.floor(left / Math.max(1, keys.length))
      const next = at[key]
      const inside = typeof next === 'object' && next !== null && !ArrayBuffer.isView(next)
      if (inside && Object.keys(next).length > 0 && left > 0) {
        at = next as Record<string, unknown>
        continue
      }
      if (key === undefined) break
      if (value === undefined && Array.isArray(at)) at.splice(Number(key), 1)
      else if (value === undefined) delete at[key]
      else at[key] = structuredClone(value)
      break
    }
  }
  return copy
}

/** What happens to a text: pieces of it are cut out, doubled, or replaced. */
export const textDamage = fc.array(
  fc.record({
    from: place,
    length: fc.nat(40),
    by: fc.oneof(
      fc.constantFrom(
        '',
        '{{',
        '}}',
        '{%',
        '%}',
        '(',
        ')',
        '|',
        '.',
        '[',
        ' ~ ',
        '*',
        '"',
        'loop',
        'messages',
      ),
      fc.string({ maxLength: 4 }),
    ),
  }),
  { minLength: 1, maxLength: 4 },
)

/** A text with the damage done. */
export const damagedText = (
  text: string,
  damage: readonly { readonly from: number; readonly length: number; readonly by: string }[],
): string =>
  damage.reduce((whole, { from, length, by }) => {
    const at = from % (whole.length + 1)
    return whole.slice(0, at) + by + whole.slice(at + length)
  }, text)

const part = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

/** What happens to bytes on their way: the end is cut off, some become others, or a length or count grows. */
export const bytesDamage = fc.record({
  length: fc.option(part),
  bytes: fc.array(fc.tuple(part, fc.nat(255)), { maxLength: 4 }),
  numbers: fc.array(
    fc.tuple(
      part,
      fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 61n, 2n ** 63n, 2n ** 64n - 1n),
    ),
    { maxLength: 2 },
  ),
})
type BytesDamage = typeof bytesDamage extends fc.Arbitrary<infer T> ? T : never

/** A copy of bytes with the damage done. */
export function damagedBytes(file: Uint8Array, { length, bytes, numbers }: BytesDamage): Uint8Array {
  const copy = file.slice(0, length === null ? file.length : Math.floor(length * file.length))
  for (const [where, byte] of bytes) if (copy.length > 0) copy[Math.floor(where * copy.length)] = byte
  const view = new DataView(copy.buffer)
  for (const [where, number] of numbers) {
    if (copy.length >= 8) view.setBigUint64(Math.floor(where * (copy.length - 7)), number, true)
  }
  return copy
}

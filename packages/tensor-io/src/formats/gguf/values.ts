/** Types of metadata values, by their number in the file; `array` is 9. */
export const valueTypes = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
  'uint64',
  'int64',
  'float64',
] as const

/** The name of a type of GGUF metadata. */
export type GgufValueType = Exclude<(typeof valueTypes)[number], 'array'>

/** A metadata value with its type; where `value` is a list, an array of that type. */
export interface GgufValue {
  readonly type: GgufValueType
  readonly value: GgufScalar | readonly GgufScalar[]
}

/** A value of GGUF metadata that is no list. */
export type GgufScalar = number | bigint | boolean | string

/** Fewest bytes that a value of each type takes in a file. */
export const smallestSize: Readonly<Record<(typeof valueTypes)[number], number>> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  string: 8,
  array: 12,
  uint64: 8,
  int64: 8,
  float64: 8,
}

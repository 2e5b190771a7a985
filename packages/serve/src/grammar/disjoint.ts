export type Schema = Readonly<Record<string, unknown>>

export const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether no value can fit two of the schemas, by their types or by a property that both need and that differs. */
export function areDisjoint(schemas: readonly unknown[]): boolean {
  return schemas.every((a, i) => schemas.slice(i + 1).every(b => differ(a, b)))
}

function differ(a: unknown, b: unknown): boolean {
  if (!isSchema(a) || !isSchema(b)) return false
  const [typesA, typesB] = [typesOf(a), typesOf(b)]
  if (typesA.length > 0 && typesB.length > 0 && !typesA.some(type => typesB.includes(type))) return true
  const [valuesA, valuesB] = [valuesOf(a), valuesOf(b)]
  if (valuesA && valuesB) return shared(valuesA, valuesB).length === 0
  const names = shared(requiredOf(a), requiredOf(b))
  return (
    [...typesA, ...typesB].every(type => type === 'object') &&
    names.some(name => differ(propertyOf(a, name), propertyOf(b, name)))
  )
}

/** What is in both lists, which may be long. */
function shared<T>(a: readonly T[], b: readonly T[]): T[] {
  const all = new Set(b)
  return a.filter(each => all.has(each))
}

/** `number` has the integers in it. */
const typesOf = ({ type }: Schema): readonly unknown[] =>
  type === undefined ? [] : [type].flat().map(each => (each === 'integer' ? 'number' : each))

/** Values as texts, where there are only so many. */
function valuesOf(schema: Schema): readonly string[] | undefined {
  if ('const' in schema) return [JSON.stringify(schema.const)]
  return Array.isArray(schema.enum) ? schema.enum.map(value => JSON.stringify(value)) : undefined
}

const requiredOf = ({ required }: Schema): readonly unknown[] => (Array.isArray(required) ? required : [])

function propertyOf({ properties }: Schema, name: unknown): unknown {
  return isSchema(properties) && typeof name === 'string' && Object.hasOwn(properties, name)
    ? properties[name]
    : undefined
}

/**
 * The names of all parts of a split GGUF file, from the name of one; undefined for other names.
 *
 * @example
 * partNames('m-00002-of-00002.gguf') // ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']
 */
export function partNames(name: string): string[] | undefined {
  const [, stem, number, count] = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(name) ?? []
  if (stem === undefined || Number(number) < 1 || Number(number) > Number(count)) return undefined
  return Array.from(
    { length: Number(count) },
    (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${count}.gguf`,
  )
}

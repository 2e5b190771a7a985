/** A switch that is off, or a setting that was left away. */
export const isOff = (value: unknown): boolean =>
  value === null ||
  value === undefined ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0)

/** The address of a Redis as messages show it: without its password. */
export const shownUrl = (url: string): string => url.replace(/^(\w+:\/\/[^:@/]*):.*@/s, '$1:…@')

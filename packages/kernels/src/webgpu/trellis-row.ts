/**
 * WGSL that decodes one row of a trellis tile, 16 weights in a loop of four times four, at any rate. A state is the window of
 * `stateBits` bits that ends where its weight does (see `trellis-tiles.ts`), so rows need nothing of each other, and four weights
 * take a whole number of bits. Expects `first` (where the tile's word 0 lies in `codes`), `stride` (words between two words of the
 * tile), `row` (0 to 15) and `quarters` (four times the bits per weight).
 *
 * @param use statements for the weights 4·group to 4·group + 3, given the expressions of their states
 */
export function trellisRow(stateBits: number, use: (states: readonly string[]) => string): string {
  const state = (offset: string) => `(((a0 << ${offset}) | (a1 >> (31u - ${offset}))) >> ${32 - stateBits}u)`
  return `
let tileWords = 2u * quarters;
let end0 = quarters >> 2u;
let offset1 = (quarters >> 1u) - end0;
let offset2 = ((3u * quarters) >> 2u) - end0;
let offset3 = quarters - end0;
let bit = 4u * quarters * row + select(0u, 32u * tileWords, row == 0u) + end0 - ${stateBits}u;
var shift = bit & 31u;
var word = bit >> 5u;
var w0 = codes[first + stride * word];
word = select(word + 1u, 0u, word + 1u == tileWords);
var w1 = codes[first + stride * word];
word = select(word + 1u, 0u, word + 1u == tileWords);
var w2 = codes[first + stride * word];
for (var group = 0u; group < 4u; group++) {
  // A shift by 32 is none in WGSL, so what follows a word comes in two steps.
  let a0 = (w0 << shift) | ((w1 >> 1u) >> (31u - shift));
  let a1 = ((w1 << shift) | ((w2 >> 1u) >> (31u - shift))) >> 1u;
  ${use([`(a0 >> ${32 - stateBits}u)`, state('offset1'), state('offset2'), state('offset3')])}
  shift += quarters;
  if (shift >= 32u) {
    shift -= 32u;
    w0 = w1;
    w1 = w2;
    word = select(word + 1u, 0u, word + 1u == tileWords);
    w2 = codes[first + stride * word];
  }
}`
}

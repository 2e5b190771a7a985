/** The way out of weights that another tool quantised. */
export const openOriginal =
  'open the original model, or save it dequantised (in transformers: model.dequantize())'

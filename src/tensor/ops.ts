// The operations of the language that models are written in, as the package's users have them.
export { erf, gelu, geluTanh, leakyRelu, quickGelu, relu, silu, softplus } from './activation.js'
export { argmax, argmin, oneHot } from './arg.js'
export { type AttentionOptions, attention } from './attention.js'
export {
  add,
  and,
  div,
  equal,
  greater,
  greaterOrEqual,
  less,
  lessOrEqual,
  maximum,
  minimum,
  mul,
  or,
  pow,
  sub,
} from './binary.js'
export { constant } from './constant.js'
export { stopGradient, straightThrough, withGradients } from './control.js'
export { type ConvOptions, type ConvTransposeOptions, conv2d, convTranspose2d } from './conv.js'
export { gather } from './gather.js'
export { matmul } from './matmul.js'
export { batchNorm, batchNormInference, groupNorm, layerNorm, logSoftmax, softmax } from './normalize.js'
export { averagePool2d, maxPool2d, type PoolOptions } from './pool.js'
export { max, mean, min, type ReduceOptions, sum } from './reduce.js'
export { expandTo, reshape, transpose, unsqueeze } from './reshape.js'
export { resizeBilinear, resizeNearest } from './resize.js'
export { concat, pad, slice, split } from './slice.js'
export { abs, cast, cos, exp, log, neg, not, sigmoid, sign, sin, sqrt, square, tanh } from './unary.js'
export { where } from './where.js'

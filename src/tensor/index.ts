export * from './activation.js'
export * from './arg.js'
export * from './attention.js'
export * from './binary.js'
export * from './constant.js'
export * from './control.js'
export * from './conv.js'
export type { Emitter, NodeAttribute } from './emitter.js'
export { evaluate } from './evaluate.js'
export { emitExpression } from './expression.js'
export * from './gather.js'
export * from './matmul.js'
export * from './normalize.js'
export * from './pool.js'
export * from './program.js'
export * from './reduce.js'
export * from './reshape.js'
export * from './resize.js'
export * from './shape.js'
export * from './slice.js'
export * from './tensor.js'
export {
  abs,
  addAll,
  cast,
  cos,
  exp,
  log,
  neg,
  not,
  sigmoid,
  sign,
  sin,
  sqrt,
  square,
  tanh,
} from './unary.js'
export { rewrite, topological } from './walk.js'
export * from './where.js'

export { checkpoint, inlineCheckpoints } from './checkpoint.js'
export { grad, pullback } from './grad.js'
export { gradients } from './gradients.js'

export { type Mt19937, mt19937, restoreMt19937 } from './mt19937.js'
export { type PhiloxGenerator, philox4x32, philoxGenerator } from './philox.js'
export { restoreTorchGenerator, type TorchGenerator, type TorchState, torchGenerator } from './torch.js'

import type { Initialiser } from '../tensor/tensor.js'

export const zeros: Initialiser = { kind: 'constant', value: 0 }
export const ones: Initialiser = { kind: 'constant', value: 1 }
export const normal = (std: number): Initialiser => ({ kind: 'normal', std })

/** What torch's Linear and Conv start with, weight and bias alike: kaiming_uniform(a = sqrt 5) is this bound. */
export const torchDefault = (fanIn: number): Initialiser => ({ kind: 'uniform', bound: 1 / Math.sqrt(fanIn) })

export { type Adapter, openAdapter } from './adapter.js'
export { adaptedWeights, type WeighedAdapter } from './merge.js'
export { type ModuleNames, moduleNames } from './names.js'
export { type AdapterLayout, adapterTensors, type TrainedLayer } from './write.js'

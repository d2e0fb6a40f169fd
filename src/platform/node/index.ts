export * from './compression.js'
export * from './files.js'
export * from './image-codec.js'
export * from './system.js'

export * from './compression.js'
export {
  appendFile,
  fileInfo,
  listFolder,
  openSource,
  readBytes,
  readText,
  realPath,
  removeFile,
  walkFiles,
  writeFileAtomic,
} from './files.js'
export * from './garbage.js'
export * from './hub-place.js'
export * from './image-codec.js'
export { lockFile } from './lock.js'
export * from './onnxruntime.js'
export * from './parquet.js'
export * from './part-file.js'
export * from './system.js'
export * from './worker.js'
export * from './world.js'

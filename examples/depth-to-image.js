// What a picture of depth tells: node depth-to-image.js 512-depth-ema.safetensors DEPTH.png [PICTURE.png]
import { readFile } from 'node:fs/promises'
import { decodeImage, depthToImage, load } from 'latentkit'

const [, , file, depthFile, pictureFile] = process.argv
if (!file || !depthFile) throw new Error('Give a model that was trained with depth, and a picture of depth')
const picture = async (/** @type {string} */ path) => decodeImage(await readFile(path), { file: path })

const model = await load(file)
const painted = await depthToImage(model, 'two tigers', {
  depth: await picture(depthFile), // brighter where nearer
  // Starts from a picture as well, if there is one.
  ...(pictureFile && { image: await picture(pictureFile), strength: 0.8 }),
}).image()
await painted.save('tigers.png')

await model.dispose()

// A picture painted anew: node image-to-image.js [PICTURE]
import { readFile } from 'node:fs/promises'
import { decodeImage, imageToImage, load } from 'latentkit'

const model = await load()

const [, , file] = process.argv
const image = file
  ? await decodeImage(await readFile(file))
  : await model.generate('red heart, noto emoji', { seed: 7 }).image()

// The more strength, the further from the picture.
for (const strength of [0.4, 0.6, 0.8]) {
  const changed = await imageToImage(model, 'yellow star, noto emoji', { image, strength, seed: 1 }).image()
  await changed.save(`strength-${strength}.png`)
}

await model.dispose()

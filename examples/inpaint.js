// A part of a picture painted anew: node inpaint.js
import { inpaint, load } from 'latentkit'

const model = await load()

const image = await model.generate('red apple, noto emoji', { seed: 3 }).image()
const { width, height } = image

// White where to paint: the upper half. Grey levels would blend.
const data = new Uint8Array(width * height * 3).fill(255, 0, width * (height / 2) * 3)
/** @type {import('latentkit').Image} */
const mask = { data, width, height, channels: 3 }

const painted = await inpaint(model, 'green apple, noto emoji', { image, mask, seed: 1 }).image()
await painted.save('inpainted.png')

await model.dispose()

// A picture made larger: node upscale.js
import { load, upscale } from 'latentkit'

const model = await load() // any model paints over the enlarged picture; one of super-resolution makes it larger itself

const image = await model.generate('red heart, noto emoji', { seed: 7 }).image()
const larger = await upscale(model, 'red heart, noto emoji', { image, factor: 2, strength: 0.3 }).image()
await larger.save('larger.png')

await model.dispose()

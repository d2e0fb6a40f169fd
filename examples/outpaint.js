// A picture painted on beyond its sides: node outpaint.js
import { load, outpaint } from 'latentkit'

const model = await load()

const image = await model.generate('red heart, noto emoji', { seed: 7 }).image()
const wider = await outpaint(model, 'red heart, noto emoji', { image, left: 32, right: 32, seed: 1 }).image()
await wider.save('wider.png')

await model.dispose()
